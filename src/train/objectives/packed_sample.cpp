#include "train/objectives/packed_sample.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace nuri {
namespace {

constexpr int64_t kIgnored = -100;

}  // namespace

void PackedSample::add(const std::vector<int32_t>& tokens, bool learned, int64_t segment) {
  for (int32_t id : tokens) {
    ids_.push_back(id);
    labels_.push_back(learned ? id : kIgnored);
    segments_.push_back(segment);
    positions_.push_back(position++);
  }
}

NamedTensors padded(const std::vector<PackedSample>& samples) {
  size_t longest = 0;
  for (const auto& sample : samples) longest = std::max(longest, sample.ids_.size());
  int64_t batch = static_cast<int64_t>(samples.size()), length = static_cast<int64_t>(longest);
  at::Tensor ids = at::zeros({batch, length}, at::kLong), positions = at::zeros({batch, length}, at::kLong);
  at::Tensor labels = at::full({batch, length}, kIgnored, at::kLong),
             segments = at::full({batch, length}, -1, at::kLong);
  for (int64_t row = 0; row < batch; ++row) {
    auto put = [&](const auto& values, at::Tensor& into) {
      std::copy(values.begin(), values.end(), into.data_ptr<int64_t>() + row * length);
    };
    put(samples[row].ids_, ids);
    put(samples[row].labels_, labels);
    put(samples[row].positions_, positions);
    put(samples[row].segments_, segments);
  }
  at::Tensor looking = segments.unsqueeze(2), seen = segments.unsqueeze(1);
  at::Tensor allowed = ((seen == looking) | (seen == 0)) & at::ones({length, length}, at::kBool).tril();
  return {
      {"input_ids", ids}, {"labels", labels}, {"position_ids", positions}, {"attention_mask", allowed.unsqueeze(1)}};
}

}  // namespace nuri
