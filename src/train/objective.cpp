#include "train/objective.h"

#include "train/objectives/alignment.h"
#include "train/objectives/contrastive.h"
#include "train/objectives/conversation.h"
#include "train/objectives/dense.h"
#include "train/objectives/names.h"
#include "train/objectives/q_former.h"

namespace nuri {

std::unique_ptr<Objective> make_objective(const ObjectiveContext& context) {
  std::string kind = context.options.required<std::string>("kind");
  std::unique_ptr<Objective> objective;
  if (kind == "dense") {
    objective = make_dense_objective(context);
  } else if (kind == "contrastive") {
    objective = make_contrastive_objective(context);
  } else if (kind == "alignment") {
    objective = make_alignment_objective(context);
  } else if (kind == "conversation") {
    objective = make_conversation_objective(context);
  } else if (kind == "names") {
    objective = make_names_objective(context);
  } else if (kind == "q_former") {
    objective = make_q_former_objective(context);
  } else {
    context.options.reject("kind", "dense, contrastive, names, alignment, conversation or q_former");
  }
  context.options.refuse_unknown_keys();
  return objective;
}

}  // namespace nuri
