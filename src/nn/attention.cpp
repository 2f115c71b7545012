#include "nn/attention.h"

#include <ATen/ATen.h>

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

DenseCausalAttention::DenseCausalAttention(int64_t batch, int64_t length, const at::Tensor& mask)
    : batch_(batch), length_(length) {
  if (mask.defined() && !mask.to(at::kBool).all().item<bool>()) mask_ = mask.to(at::kBool);
}

at::Tensor DenseCausalAttention::allowed(int64_t window) const {
  at::Tensor all = at::ones({length_, length_}, at::kBool);
  at::Tensor seen = all.tril();
  if (window > 0) seen = seen & all.triu(1 - window);
  seen = seen.view({1, 1, length_, length_});
  if (!mask_.defined()) return seen;
  if (mask_.dim() == 4) return window > 0 ? mask_ & seen : mask_;
  // A padding token that may see nothing gets zeros from ops::attention, as in the reference.
  return seen & mask_.view({batch_, 1, 1, length_});
}

at::Tensor DenseCausalAttention::attend(int64_t, const Qkv& qkv, const AttentionOptions& options) {
  bool windowed = options.window > 0 && options.window < length_;
  at::Tensor mask;
  if (mask_.defined() || windowed) mask = allowed(windowed ? options.window : 0).to(qkv.query.device());
  return attend_within(qkv, batch_, options.scale, /*causal=*/true, mask);
}

}  // namespace nuri::nn
