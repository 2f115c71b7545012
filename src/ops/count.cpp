#include "ops/count.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <torch/library.h>

#include <optional>
#include <string_view>

namespace nuri::ops {
namespace {

// The wheel registers these shapes from Python; a program without Python lacks them.
at::Tensor index_select(const at::Tensor& x, int64_t dim, const at::Tensor& index) {
  auto sizes = x.sizes().vec();
  sizes.at(dim < 0 ? dim + x.dim() : dim) = index.numel();
  return at::empty(sizes, x.options());
}

at::Tensor relu(const at::Tensor& x) { return at::empty_like(x); }

at::Tensor layer_norm(const at::Tensor& x, at::IntArrayRef, const std::optional<at::Tensor>&,
                      const std::optional<at::Tensor>&, double, bool) {
  return at::empty_like(x);
}

at::Tensor scaled_dot_product_attention(const at::Tensor& query, const at::Tensor&, const at::Tensor& value,
                                        const std::optional<at::Tensor>&, double, bool, std::optional<double>, bool) {
  auto sizes = query.sizes().vec();
  sizes.back() = value.size(-1);
  return at::empty(sizes, query.options());
}

template <class Kernel>
void fill_gap(torch::Library& library, const char* name, Kernel kernel) {
  auto schema = c10::Dispatcher::singleton().findSchema({std::string("aten::") + name, ""});
  if (schema && !schema->hasKernelForDispatchKey(c10::DispatchKey::Meta)) library.impl(name, kernel);
}

void fill_gaps() {
  static const torch::Library library = [] {
    torch::Library filled(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__);
    fill_gap(filled, "index_select", TORCH_FN(index_select));
    fill_gap(filled, "relu", TORCH_FN(relu));
    fill_gap(filled, "layer_norm", TORCH_FN(layer_norm));
    fill_gap(filled, "scaled_dot_product_attention", TORCH_FN(scaled_dot_product_attention));
    return filled;
  }();
}

thread_local double counted = 0;

double size(const c10::IValue& tensor, int64_t dim) { return static_cast<double>(tensor.toTensor().size(dim)); }
double elements(const c10::IValue& tensor) { return static_cast<double>(tensor.toTensor().numel()); }

std::unique_ptr<at::ObserverContext> see(const at::RecordFunction& function) {
  std::string_view name = function.name();
  auto inputs = function.inputs();
  if (name == "aten::mm" || name == "aten::bmm") {
    counted += 2 * elements(inputs[0]) * size(inputs[1], -1);
  } else if (name == "aten::addmm") {
    counted += 2 * elements(inputs[1]) * size(inputs[2], -1);
  } else if (name == "aten::scaled_dot_product_attention") {
    double rows = elements(inputs[0]) / size(inputs[0], -1);  // B * H * T
    counted += 2 * rows * size(inputs[1], -2) * (size(inputs[1], -1) + size(inputs[2], -1));
  }
  return nullptr;
}

}  // namespace

double count_products(const std::function<void()>& work) {
  fill_gaps();
  counted = 0;
  auto handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(see).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  try {
    work();
  } catch (...) {
    at::removeCallback(handle);
    throw;
  }
  at::removeCallback(handle);
  return counted;
}

}  // namespace nuri::ops
