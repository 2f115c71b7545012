#pragma once

#include <memory>
#include <string>

#include "train/objective.h"
#include "train/objectives/scene_batch.h"

namespace nuri {

// What a picture of one object may be called, and how right that is: the object's own name and CLDR's words for it
// alone are right (1), the word for its category is half right, so that the name stays the better answer.
struct NamedKind {
  int object = -1;  // of the world; -1: the text says a category
  Category category = Category::thing;
  double fit(int other, Category other_category) const;
};

// "a cat", "a picture of a cat", "고양이", "고양이 그림": `variant` counts through the patterns, 0 is the bare name.
std::string phrase_of(const std::string& name, Language language, uint64_t variant);

// The sigmoid loss of Zhai et al. 2023 (SigLIP) on logits [T, N] with targets [T, N] from 0 to 1; mean over pictures.
at::Tensor sigmoid_fit_loss(const at::Tensor& logits, const at::Tensor& targets);

// Objective "names": pictures of single objects and what they are called, in one space (SiglipModel). A step has one
// text for each picture and `further_texts` names of anything, against all of its pictures.
//
// Options: data (a table, see SceneSource), korean_share, category_share (texts that name a category), synonym_share,
// further_texts.
//
// Beside the pairs, pictures and texts are each taught by themselves to lie near an anchor of their object: learned
// directions that both share and that no one keeps. From nothing, pairs alone had taught nothing after 140 steps of 32:
// that nearly all texts are wrong is a fair guess, and neither tower knows what to move towards.
std::unique_ptr<Objective> make_names_objective(const ObjectiveContext& context);

}  // namespace nuri
