#pragma once

#include <optional>
#include <vector>

#include "generate/engine.h"

namespace nuri {

// The natural logarithm of the probability that the model says `answer` after each prompt; all are read together.
// `shared`: what the engine's cache holds of the rows that begin every prompt. Throws as Engine does.
std::vector<double> log_likelihoods(Engine& engine, std::vector<DecoderInput> prompts,
                                    const std::vector<int64_t>& answer,
                                    const std::optional<nn::CachedSequence>& shared = {});

// The logits [n, V] (float32) that weigh each of the n tokens that `request` gives. Throws as Engine does, and
// Error(usage) where it gives none.
at::Tensor logits_of_given(Engine& engine, Request request);

// How many rows two prompts have in common from the first on, as a cache would hold them: none where a prompt has
// slots, since every row may have looked at them.
int64_t shared_rows(const DecoderInput& a, const DecoderInput& b);

}  // namespace nuri
