#include "models/parts/text/output_head.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/report.h"

namespace nuri {

Matrix output_head(const WeightView& weights, const Matrix& words, const std::string& words_name, bool tied,
                   at::IntArrayRef shape, const Init& init) {
  if (tied && !weights.differs("lm_head.weight", words_name)) return words;
  WeightView head = weights / "lm_head";
  if (tied)
    warn(
        fmt::format("tensor {}.weight: found other numbers than in the embeddings, to which the configuration ties it; "
                    "both are used",
                    head.scope()));
  return head.matrix("weight", shape[0], shape[1], init);
}

}  // namespace nuri
