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
// With `films`, a share of the examples are films instead of scenes: their frames are pictures in one prompt, as a
// model that watches no videos is shown one, and the questions are those of make_film_conversation; pointing tells the
// number of a frame before each name. Films and scenes count by their number, not by that of their tokens.
//
// Options: data (a table, see SceneSource), show: "pictures" (a multimodal model looks at them) or "words" (a
// language model reads the list of objects and boxes instead, and so learns how to answer before it can see),
// pointing (true or false), films (a table, see FilmSource), dialogue_share, weights: a table of task names,
// korean_share, synonym_share, min_turns, max_turns.
std::unique_ptr<Objective> make_conversation_objective(const ObjectiveContext& context);

}  // namespace nuri
