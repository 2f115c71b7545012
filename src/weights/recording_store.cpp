#include "weights/recording_store.h"

#include <ATen/ATen.h>

#include "weights/packing.h"

namespace nuri {

WeightStore::Codes RecordingStore::record(Entry entry) {
  Codes codes =
      round_to_codes(at::empty(entry.shape, at::TensorOptions().dtype(entry.dtype).device(at::kMeta)), *entry.coding);
  entry.bytes = codes.bytes.numel();
  entries_.push_back(std::move(entry));
  return codes;
}

std::optional<WeightStore::Codes> RecordingStore::codes(const std::string& name, int64_t n, int64_t k) {
  auto coding = choose_(name);
  if (!coding) return {};
  at::Tensor numbers = checkpoint_->take(name, {n, k}, {});
  return record({name, {n, k}, numbers.scalar_type(), coding, {}, 0});
}

std::optional<WeightStore::Codes> RecordingStore::codes_of_part(const std::string& name, const MatrixPart& part,
                                                                int64_t n, int64_t k) {
  auto coding = choose_(part.tensor);
  if (!coding) return {};
  at::Tensor numbers = checkpoint_->take(part.tensor, part.shape, {});
  return record({name, {n, k}, numbers.scalar_type(), coding, part, 0});
}

at::Tensor RecordingStore::take(const std::string& name, at::IntArrayRef shape, const Init& init) {
  at::Tensor tensor = checkpoint_->take(name, shape, init);
  entries_.push_back({name, shape.vec(), tensor.scalar_type(), {}, {}, static_cast<int64_t>(tensor.nbytes())});
  return tensor;
}

}  // namespace nuri
