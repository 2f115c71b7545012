#pragma once

#include <ATen/core/Tensor.h>

namespace nuri {

// The unified embedding design: rows of `embeddings` [T, D] where `places` [T] is true become the rows of
// `features` [F, D], in order; undefined features: none. Throws Error(usage), which calls them features of a `medium`,
// when their numbers differ.
at::Tensor put_features(const at::Tensor& embeddings, const at::Tensor& places, const at::Tensor& features,
                        const char* medium = "picture");

}  // namespace nuri
