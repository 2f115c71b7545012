#include "nn/cross_attention.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace nuri::nn {
namespace {

std::string key_slot(int64_t layer) { return fmt::format("cross.{}.key", layer); }
std::string value_slot(int64_t layer) { return fmt::format("cross.{}.value", layer); }

// query [B * T, H, D], key and value [B, S, K, D] -> [B * T, H * D]
at::Tensor attend_batch(const at::Tensor& query, const CrossMemory& memory, const at::Tensor& mask, double scale) {
  int64_t batch = memory.key.size(0), rows = query.size(0), heads = query.size(1), width = query.size(2);
  at::Tensor out = ops::attention(query.view({batch, rows / batch, heads, width}).transpose(1, 2),
                                  memory.key.transpose(1, 2), memory.value.transpose(1, 2), mask, false, scale);
  return out.transpose(1, 2).reshape({rows, heads * width});
}

}  // namespace

DenseCrossAttention::DenseCrossAttention(std::vector<CrossMemory> memories, const at::Tensor& mask)
    : memories_(std::move(memories)) {
  if (mask.defined()) mask_ = mask.to(at::kBool).view({mask.size(0), 1, 1, mask.size(1)});
}

at::Tensor DenseCrossAttention::attend(int64_t layer, const at::Tensor& query, double scale) const {
  const CrossMemory& memory = memories_[layer];
  int64_t rows = query.size(0) / memory.key.size(0);
  at::Tensor mask = mask_.defined() ? mask_.to(query.device()).expand({-1, 1, rows, -1}) : mask_;
  return attend_batch(query, memory, mask, scale);
}

at::Tensor SlotCrossAttention::attend(int64_t layer, const at::Tensor& query, double scale) const {
  at::Tensor out = at::zeros({query.size(0), query.size(1) * query.size(2)}, query.options());
  std::string key = key_slot(layer), value = value_slot(layer);
  for (const auto& piece : sequences_) {
    const Slots* slots = piece.sequence->slots();
    if (slots == nullptr) continue;
    CrossMemory memory{slots->at(key).unsqueeze(0), slots->at(value).unsqueeze(0)};
    out.narrow(0, piece.begin, piece.count)
        .copy_(attend_batch(query.narrow(0, piece.begin, piece.count), memory, {}, scale));
  }
  return out;
}

Slots cross_slots(const std::vector<CrossMemory>& memories, int64_t row, const at::Tensor& mask) {
  Slots slots;
  at::Tensor kept;
  if (mask.defined()) kept = mask[row].nonzero().squeeze(1);
  auto rows_of = [&](const at::Tensor& all) {  // [B, S, K, D] -> [kept, K, D]
    return kept.defined() ? all[row].index_select(0, kept.to(all.device())) : all[row];
  };
  for (size_t layer = 0; layer < memories.size(); ++layer) {
    slots[key_slot(static_cast<int64_t>(layer))] = rows_of(memories[layer].key);
    slots[value_slot(static_cast<int64_t>(layer))] = rows_of(memories[layer].value);
  }
  return slots;
}

}  // namespace nuri::nn
