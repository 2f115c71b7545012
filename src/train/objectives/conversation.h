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
// With `pointing`, each name in the scene also stands alone behind the picture and goes on at once with its box
// ("dog12, 30, 44, 61"), and absent names with "-". Finding what a name means is one step there; in a question it is
// the second of two (the answer must first look up the name), and neither pays off before the other is learned.
//
// Options: data (a table, see SceneSource), show: "pictures" (a multimodal model looks at them) or "words" (a
// language model reads the list of objects and boxes instead, and so learns how to answer before it can see),
// pointing (true or false), dialogue_share, weights: a table of task names, korean_share, synonym_share, min_turns,
// max_turns.
std::unique_ptr<Objective> make_conversation_objective(const ObjectiveContext& context);

}  // namespace nuri
