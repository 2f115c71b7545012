#include "models/parts/fusion/unified_fusion.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"

namespace nuri {

at::Tensor put_features(const at::Tensor& embeddings, const at::Tensor& places, const at::Tensor& features,
                        const char* medium) {
  int64_t tokens = places.sum().item<int64_t>(), given = features.defined() ? features.size(0) : 0;
  if (tokens != given)
    throw Error(ErrorKind::usage,
                fmt::format("input_ids: found {} {} tokens for {} {} features, expected as many", tokens,
                            std::string_view(medium) == "picture" ? "image" : medium, given, medium));
  if (tokens == 0) return embeddings;
  return embeddings.masked_scatter(places.unsqueeze(-1), features.to(embeddings.scalar_type()));
}

}  // namespace nuri
