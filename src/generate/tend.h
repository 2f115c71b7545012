#pragma once

#include <chrono>

#include "models/parts/interface.h"

namespace nuri {

// Behind a step that took so long and read no prompt: the model may take up to an eighth of that time for itself
// (Model::tend).
inline void tend(Model& model, double step_s) {
  auto begin = std::chrono::steady_clock::now();
  while (model.tend() && std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < step_s / 8) {
  }
}

}  // namespace nuri
