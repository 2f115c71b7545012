#pragma once

#include "train/recipe.h"

namespace nuri {

// Runs the stages of a recipe in order, each from its newest checkpoint if there is one; finished stages are
// skipped. Every stage has its own folder with metrics.jsonl, loss.svg and its checkpoints. Stops at a
// request to interrupt behind the current step, with a checkpoint written.
void run_recipe(const Recipe& recipe);

}  // namespace nuri
