#pragma once

#include <memory>
#include <vector>

#include "base/random.h"
#include "train/objective.h"

namespace nuri {

// Objective "q_former": BLIP-2's first stage (Li et al. 2023, section 3.2) on pictures of the emoji world and their
// captions, for a NuriComposedRetrieval. Three losses of equal weight: contrast (each text against the pictures of the
// batch and each picture against its texts), match (does a text fit a picture? with those that are nearly right beside
// the true pairs), and grounded text (the caption, from the picture alone).
//
// Options: data (a table, see SceneSource), korean_share.
std::unique_ptr<Objective> make_q_former_objective(const ObjectiveContext& context);

// For each row of `scores` [N, N] a column other than the row's own, by the softmax of the row's others.
std::vector<int64_t> hard_negatives(const at::Tensor& scores, CounterRandom& random);

// Cross entropy of logits [B, L, V] with the token behind each, over `mask` [B, L]; 0.1 of the weight lies on all
// others, as in the reference implementation (LAVIS).
at::Tensor told_loss(const at::Tensor& logits, const at::Tensor& ids, const at::Tensor& mask);

}  // namespace nuri
