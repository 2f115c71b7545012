#include "weights/weight_view.h"

#include <ATen/ATen.h>

namespace nuri {

WeightView::WeightView(std::shared_ptr<WeightStore> store)
    : store_(std::move(store)), ledger_(std::make_shared<std::vector<NamedTensor>>()) {}

WeightView WeightView::operator/(std::string_view scope) const {
  WeightView inner = *this;
  inner.scope_ = path(scope);
  return inner;
}

std::string WeightView::path(std::string_view name) const {
  return scope_.empty() ? std::string(name) : scope_ + "." + std::string(name);
}

bool WeightView::has(std::string_view name) const { return store_->has(path(name)); }

at::Tensor WeightView::get(std::string_view name, at::IntArrayRef shape, const Init& init) const {
  std::string full = path(name);
  for (const auto& entry : *ledger_) {
    if (entry.name != full) continue;
    TORCH_INTERNAL_ASSERT(entry.tensor.sizes() == shape, full, " is tied under two shapes");
    return entry.tensor;
  }
  at::Tensor tensor = store_->take(full, shape, init);
  ledger_->push_back({std::move(full), tensor});
  return tensor;
}

}  // namespace nuri
