#include "train/objective.h"

#include "train/objectives/dense.h"

namespace nuri {

std::unique_ptr<Objective> make_objective(const ObjectiveContext& context) {
  std::string kind = context.options.required<std::string>("kind");
  std::unique_ptr<Objective> objective;
  if (kind == "dense") {
    objective = make_dense_objective(context);
  } else {
    context.options.reject("kind", "dense");
  }
  context.options.refuse_unknown_keys();
  return objective;
}

}  // namespace nuri
