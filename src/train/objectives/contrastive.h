#pragma once

#include <memory>

#include "train/objective.h"

namespace nuri {

// Objective "contrastive": pictures of the emoji world and their captions in one space (CLIPModel or SiglipModel).
//
// Options: data (a table, see SceneSource), loss: "sigmoid" (each pair for itself, Zhai et al. 2023) or "softmax"
// (each against the batch, Radford et al. 2021), korean_share, dense: the share of the dense teacher's loss that keeps
// the patches telling what covers them (0: none).
std::unique_ptr<Objective> make_contrastive_objective(const ObjectiveContext& context);

// The losses on logits [N, N] whose diagonal are the true pairs; means over the rows.
at::Tensor sigmoid_pair_loss(const at::Tensor& logits);
at::Tensor softmax_pair_loss(const at::Tensor& logits);

}  // namespace nuri
