#pragma once

#include <memory>

#include "train/objective.h"

namespace nuri {

// Objective "conversation": instruction tuning on questions and answers about scenes of the emoji world, in the
// model's own chat template; the loss is on the answers' tokens and the token that ends each.
//
// Many questions share one picture: the tokens of the picture stand once in front, and each question with its answer
// follows as if it stood alone behind them, unseen by the others, since answers about one scene give each other away.
// A share of the examples are real conversations, in which each turn sees those before it.
//
// Options: data (a table, see SceneSource), show: "pictures" (a multimodal model looks at them) or "words" (a
// language model reads the list of objects and boxes instead, and so learns how to answer before it can see),
// dialogue_share, weights: a table of task names, korean_share, synonym_share, min_turns, max_turns.
std::unique_ptr<Objective> make_conversation_objective(const ObjectiveContext& context);

}  // namespace nuri
