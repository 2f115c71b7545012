#include "nn/attention.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace nuri::nn {
namespace {

// [B * T, H, D] -> [B, H, T, D]
at::Tensor heads_first(const at::Tensor& rows, int64_t batch) {
  return rows.view({batch, rows.size(0) / batch, rows.size(1), rows.size(2)}).transpose(1, 2);
}

}  // namespace

at::Tensor attend_within(const Qkv& qkv, int64_t batch, double scale, bool causal, const at::Tensor& mask) {
  at::Tensor out = ops::attention(heads_first(qkv.query, batch), heads_first(qkv.key, batch),
                                  heads_first(qkv.value, batch), mask, causal, scale);
  return out.transpose(1, 2).reshape({qkv.query.size(0), qkv.query.size(1) * qkv.query.size(2)});
}

at::Tensor as_kept(const at::Tensor& x, at::ScalarType type) {
  return x.scalar_type() == at::kFloat && (type == at::kHalf || type == at::kBFloat16) ? x.to(type) : x;
}

at::Tensor with_distance_bias(const at::Tensor& mask, const at::Tensor& distance_bias) {
  int64_t rows = mask.size(2), total = mask.size(3);
  at::Tensor position = at::arange(total, at::TensorOptions(at::kLong).device(mask.device()));
  at::Tensor distance = position.narrow(0, total - rows, rows).unsqueeze(1) - position;  // [rows, total]
  at::Tensor column = distance.clamp(0, distance_bias.size(1) - 1).reshape({-1});
  at::Tensor bias = distance_bias.index_select(1, column).view({1, -1, rows, total});
  // Not minus infinity: a padding token that may see nothing would become NaN, and spread.
  return bias + (~mask).to(bias.scalar_type()) * ops::lowest(bias.scalar_type());
}

int64_t AttentionOptions::first_seen(int64_t index) const {
  int64_t first = window > 0 ? std::max<int64_t>(index + 1 - window, 0) : 0;
  return chunk > 0 ? std::max(first, index / chunk * chunk) : first;
}

at::Tensor AttentionOptions::seen(int64_t past, int64_t count, const at::Tensor& starts) const {
  at::Tensor keys = at::arange(past + count, at::kLong), queries = keys.narrow(0, past, count).unsqueeze(-1);
  return seen(keys, queries, starts.defined() ? starts.view({-1, 1, 1}) : at::Tensor());
}

at::Tensor AttentionOptions::seen(const at::Tensor& keys, const at::Tensor& queries, const at::Tensor& starts) const {
  at::Tensor key = starts.defined() ? keys - starts : keys, query = starts.defined() ? queries - starts : queries;
  at::Tensor seen = keys <= queries;
  if (window > 0) seen = seen & (key > query - window);
  if (chunk > 0) seen = seen & (key.floor_divide(chunk) == query.floor_divide(chunk));
  if (sinks > 0) seen = seen | ((key >= 0) & (key < sinks) & (key <= query));
  return seen;
}

DenseCausalAttention::DenseCausalAttention(int64_t batch, int64_t length, const at::Tensor& mask,
                                           std::vector<std::shared_ptr<const Slots>> slots, at::ScalarType kept)
    : batch_(batch), length_(length), slots_(std::move(slots)), kept_(kept) {
  if (!mask.defined() || mask.to(at::kBool).all().item<bool>()) return;
  mask_ = mask.to(at::kBool);
  if (mask_.dim() == 2) starts_ = (mask_.to(at::kLong).cumsum(-1) == 0).sum(-1).cpu();
}

at::Tensor DenseCausalAttention::indices() const { return at::arange(length_, at::kLong).repeat({batch_}); }

std::vector<SequenceRows> DenseCausalAttention::sequences() const {
  std::vector<SequenceRows> items;
  for (int64_t item = 0; item < batch_; ++item)
    items.push_back({item * length_, length_, 0, slots_.empty() ? nullptr : slots_[item].get()});
  return items;
}

at::Tensor DenseCausalAttention::allowed(const AttentionOptions& options) const {
  at::Tensor seen = options.seen(0, length_, starts_);
  seen = seen.view({-1, 1, length_, length_});
  if (!mask_.defined()) return seen;
  if (mask_.dim() == 4) return options.first_seen(length_ - 1) > 0 ? mask_ & seen : mask_;
  // A padding token that may see nothing gets zeros from ops::attention, as in the reference.
  return seen & mask_.view({batch_, 1, 1, length_});
}

at::Tensor DenseCausalAttention::attend(int64_t, const Qkv& qkv, const AttentionOptions& options) {
  at::Tensor mask;
  bool biased = options.distance_bias.defined();
  if (mask_.defined() || biased || options.first_seen(length_ - 1) > 0) mask = allowed(options).to(qkv.query.device());
  if (biased) mask = with_distance_bias(mask, options.distance_bias);
  return attend_within({qkv.query, as_kept(qkv.key, kept_), as_kept(qkv.value, kept_)}, batch_, options.scale,
                       /*causal=*/true, mask);
}

}  // namespace nuri::nn
