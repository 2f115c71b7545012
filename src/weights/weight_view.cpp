#include "weights/weight_view.h"

#include <ATen/ATen.h>

#include <limits>

namespace nuri {

WeightView::WeightView(std::shared_ptr<WeightStore> store)
    : store_(std::move(store)), ledger_(std::make_shared<Ledger>()) {}

WeightView WeightView::operator/(std::string_view scope) const {
  WeightView inner = *this;
  inner.scope_ = path(scope);
  return inner;
}

std::string WeightView::path(std::string_view name) const {
  return scope_.empty() ? std::string(name) : scope_ + "." + std::string(name);
}

bool WeightView::has(std::string_view name) const { return store_->has(path(name)); }

bool WeightView::stored(std::string_view name) const { return store_->stored(path(name)); }

bool WeightView::differs(std::string_view name, std::string_view tied) const {
  return store_->differs(path(name), path(tied));
}

const at::Tensor* WeightView::find(const std::string& name, at::IntArrayRef shape) const {
  auto place = ledger_->places.find(name);
  if (place == ledger_->places.end()) return nullptr;
  const at::Tensor& read = ledger_->entries[place->second].tensor;
  TORCH_INTERNAL_ASSERT(read.sizes() == shape, name, " is tied under two shapes");
  return &read;
}

at::Tensor WeightView::get(std::string_view name, at::IntArrayRef shape, const Init& init) const {
  std::string full = path(name);
  if (const at::Tensor* read = find(full, shape)) return *read;
  at::Tensor tensor = store_->take(full, shape, init);
  return enter(std::move(full), tensor);
}

Matrix WeightView::matrix(std::string_view name, int64_t n, int64_t k, const Init& init) const {
  std::string full = path(name);
  if (find(full, {n, k}) != nullptr) {
    auto read = ledger_->coded.find(full);
    return read == ledger_->coded.end() ? Matrix{get(name, {n, k}, init)} : read->second;
  }
  if (auto codes = store_->codes(full, n, k)) return enter_codes(std::move(full), std::move(*codes), n, k);
  return {get(name, {n, k}, init)};
}

Matrix WeightView::part(std::string_view name, MatrixPart part, int64_t n, int64_t k, const Init& init) const {
  if (!has(part.tensor) && has(name)) return matrix(name, n, k, init);
  std::string full = path(name), tensor = part.tensor;
  part.tensor = path(tensor);
  if (auto codes = store_->codes_of_part(full, part, n, k))
    return enter_codes(std::move(full), std::move(*codes), n, k);
  at::Tensor one = get(tensor, part.shape, init).select(0, part.index);
  return {(part.transposed ? one.t() : one).narrow(0, part.begin, n)};
}

Matrix WeightView::enter_codes(std::string name, WeightStore::Codes codes, int64_t n, int64_t k) const {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  at::Device device = codes.weight_only.value_or(codes.bytes.device());
  at::Tensor numbers = at::full({1, 1}, kNone, at::TensorOptions().dtype(codes.dtype).device(device));
  Matrix matrix{numbers.expand({n, k}), codes.coding, codes.bytes, codes.weight_only.has_value()};
  ledger_->coded.emplace(name, matrix);
  enter(std::move(name), matrix.numbers);
  return matrix;
}

at::Tensor WeightView::enter(std::string name, at::Tensor tensor) const {
  ledger_->places.emplace(name, ledger_->entries.size());
  ledger_->entries.push_back({std::move(name), tensor});
  return tensor;
}

}  // namespace nuri
