#pragma once

#include "common.h"

namespace nuri {

struct EvalRequest {
  std::string recipe;
  ModelOptions model;  // model: empty: the recipe's own
  std::string save;    // folder for the scenes and answers; empty: they are not kept
};

// Measures a model on held-out data as the recipe's [evaluation] says -> JSON text.
std::string evaluate(const EvalRequest& request);

}  // namespace nuri
