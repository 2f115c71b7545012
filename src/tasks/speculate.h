#pragma once

#include <cstdint>
#include <string>

namespace nuri {

// Guessing the next tokens and verifying several in one step: answers come sooner, and are the same.
struct SpeculationOptions {
  // lookup: what followed the same words before, in prompt and answer; off; empty: off.
  std::string speculate = {};
  std::string draft = {};  // a smaller model of the same tokens, that guesses in its place; empty: none
  bool asked() const { return !draft.empty() || (!speculate.empty() && speculate != "off"); }
};

// What became of it.
struct SpeculationCounts {
  int64_t steps = 0;     // of the model, behind that of the first token
  int64_t proposed = 0;  // tokens
  int64_t accepted = 0;  // of them
  double accepted_per_step() const {
    return steps > 0 ? static_cast<double>(accepted) / static_cast<double>(steps) : 0;
  }
};

}  // namespace nuri
