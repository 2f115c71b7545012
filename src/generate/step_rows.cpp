#include "generate/step_rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {

at::Tensor to_tensor(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

void check_input(const DecoderInput& input, int64_t width) {
  const at::Tensor& rows = input.embeddings;
  if (rows.dim() != 2 || rows.size(1) != width)
    throw Error(ErrorKind::usage, fmt::format("the prompt's embeddings: found shape [{}], expected [tokens, {}]",
                                              fmt::join(rows.sizes(), ", "), width));
  if (!input.positions.defined()) return;
  at::IntArrayRef shape = input.positions.sizes();
  if (shape != at::IntArrayRef({rows.size(0)}) && shape != at::IntArrayRef({3, rows.size(0)}))
    throw Error(ErrorKind::usage, fmt::format("the prompt's positions: found shape [{}], expected [{}] or [3, {}]",
                                              fmt::join(shape, ", "), rows.size(0), rows.size(0)));
}

void check_given(const std::vector<int64_t>& given, int64_t vocabulary) {
  for (int64_t id : given)
    if (id < 0 || id >= vocabulary)
      throw Error(ErrorKind::usage, fmt::format("the given tokens: found {}, expected 0 to {}", id, vocabulary - 1));
}

void append_rows(DecoderInput& input, const at::Tensor& further) {
  int64_t known = input.embeddings.size(0);
  if (input.positions.defined()) {
    at::Tensor next = at::arange(known, known + further.size(0), at::kLong) + input.shift;
    if (input.positions.dim() == 2) next = next.expand({3, -1});
    input.positions = at::cat({input.positions, next}, -1);
  }
  input.embeddings = at::cat({input.embeddings, further.to(input.embeddings.options())});
}

void StepPositions::add(const DecoderInput& input, int64_t past, int64_t count) {
  int64_t known = input.positions.defined() ? input.embeddings.size(0) : 0;
  for (int64_t plane = 0; plane < 3; ++plane)
    for (int64_t i = past; i < past + count; ++i) planes_[plane].push_back(i + input.shift);
  if (past >= known) return;
  at::Tensor given = input.positions.dim() == 2 ? input.positions : input.positions.expand({3, known});
  given = given.contiguous();
  flat_ = flat_ && input.positions.dim() == 1;
  for (int64_t plane = 0; plane < 3; ++plane)
    std::copy_n(given.const_data_ptr<int64_t>() + plane * known + past, count, planes_[plane].end() - count);
}

at::Tensor StepPositions::tensor(at::Device device) const {
  if (flat_) return to_tensor(planes_[0], device);
  return at::stack({to_tensor(planes_[0], device), to_tensor(planes_[1], device), to_tensor(planes_[2], device)});
}

}  // namespace nuri
