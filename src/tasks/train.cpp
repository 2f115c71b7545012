#include "tasks/train.h"

#include "ops/ops.h"
#include "train/loop.h"

namespace nuri {

void train(const TrainRequest& request) {
  ops::use_torch_threads(request.threads);
  run_recipe(read_recipe(request.recipe));
}

}  // namespace nuri
