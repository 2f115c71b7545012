#pragma once

#include <string>

#include "weights/weight_view.h"

namespace nuri {

// The matrix of `lm_head`, the rows [V, D] that logits are products with. `tied`: the rows `words` of the embeddings,
// stored as `words_name`; but where a checkpoint keeps other numbers under lm_head's own name, those, with a warning,
// as the reference does (`tie_weights` of its PreTrainedModel).
Matrix output_head(const WeightView& weights, const Matrix& words, const std::string& words_name, bool tied,
                   at::IntArrayRef shape, const Init& init);

}  // namespace nuri
