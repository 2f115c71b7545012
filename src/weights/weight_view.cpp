#include "weights/weight_view.h"

#include <ATen/ATen.h>

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

at::Tensor WeightView::get(std::string_view name, at::IntArrayRef shape, const Init& init) const {
  std::string full = path(name);
  if (auto place = ledger_->places.find(full); place != ledger_->places.end()) {
    const at::Tensor& read = ledger_->entries[place->second].tensor;
    TORCH_INTERNAL_ASSERT(read.sizes() == shape, full, " is tied under two shapes");
    return read;
  }
  at::Tensor tensor = store_->take(full, shape, init);
  ledger_->places.emplace(full, ledger_->entries.size());
  ledger_->entries.push_back({std::move(full), tensor});
  return tensor;
}

}  // namespace nuri
