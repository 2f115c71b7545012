#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <atomic>

#include "kernels/convert.h"
#include "kernels/few_rows.h"
#include "kernels/quantized_product.h"
#include "kernels/tile_product.h"
#include "ops/kernel_access.h"
#include "ops/observe.h"
#include "ops/ops.h"
#include "ops/packed.h"
#include "ops/weight_only.h"

namespace nuri::ops {
namespace {

std::atomic<ProductObserver*> observer{nullptr};

void tell(const at::Tensor& x, std::span<const Factor> factors) {
  if (auto* watching = observer.load(std::memory_order_relaxed)) watching->see(x, factors);
}

// Up to here a product is bound by reading the weights once.
constexpr int64_t kFewRows = 16;
// Bytes of float32 weights made at a time: small enough for a third-level cache, large enough that packing x anew for
// each block costs little (blocks of 4 MiB were a sixth slower at 8192 columns).
constexpr int64_t kBlockBytes = 16 << 20;

int64_t count_rows(const at::Tensor& x) { return x.numel() / x.size(-1); }

// A weight [N, K] that lies in memory as [K, N]: the transposed view of one that multiplies from the right.
bool lies_by_columns(const at::Tensor& weight) {
  return !weight.is_contiguous() && weight.stride(0) == 1 && weight.stride(1) >= weight.size(0);
}

kernels::ConstVector vector_of(const at::Tensor& bias) {
  return bias.defined() ? kernels::ConstVector{bias.const_data_ptr(), element_of(bias)} : kernels::ConstVector{};
}

// x [..., K] in whatever shape, its rows one after the other in memory.
std::vector<at::Tensor> few_rows(const at::Tensor& x, std::span<const Factor> factors) {
  int64_t m = count_rows(x), k = x.size(-1);
  std::vector<int64_t> shape = x.sizes().vec();
  std::vector<at::Tensor> products;
  std::vector<kernels::FewRowsFactor> jobs;
  for (const auto& [weight, bias, packed] : factors) {
    int64_t n = shape.back() = weight.size(0);
    at::Tensor& y = products.emplace_back(at::empty(shape, x.options()));
    kernels::ConstRows rows{x.const_data_ptr(), element_of(x), k};
    kernels::Rows found{y.mutable_data_ptr(), element_of(y), n};
    if (lies_by_columns(weight)) {
      kernels::ConstRows w{weight.const_data_ptr(), element_of(weight), weight.stride(1)};
      kernels::few_rows_product_by_columns(m, n, k, rows, w, found, vector_of(bias));
    } else {
      kernels::ConstRows w{weight.const_data_ptr(), element_of(weight), weight.stride(0)};
      jobs.push_back({n, w, found, vector_of(bias)});
    }
  }
  kernels::few_rows_products(m, k, {x.const_data_ptr(), element_of(x), k}, jobs);
  return products;
}

// The product in float32, some rows of the weight at a time, so that no whole copy of it is made.
at::Tensor in_float_blocks(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  int64_t m = x.size(0), n = weight.size(0), k = weight.size(1);
  at::Tensor y = at::empty({m, n}, x.options()), wide = x.to(at::kFloat);
  int64_t rows = std::clamp<int64_t>(kBlockBytes / (4 * std::max<int64_t>(k, 1)), 64, std::max<int64_t>(n, 64));
  bool by_columns = lies_by_columns(weight);
  at::Tensor scratch = by_columns ? at::Tensor() : at::empty({std::min(rows, n), k}, wide.options());
  at::Tensor product = at::empty({m, std::min(rows, n)}, wide.options());
  for (int64_t begin = 0; begin < n; begin += rows) {
    int64_t count = std::min(rows, n - begin);
    at::Tensor out = product.narrow(1, 0, count), block;  // [k, count]
    if (by_columns) {
      block = weight.narrow(0, begin, count).t().to(at::kFloat);
    } else {
      const char* from = static_cast<const char*>(weight.const_data_ptr()) + begin * k * weight.element_size();
      kernels::convert_parallel(from, element_of(weight), scratch.mutable_data_ptr(), kernels::Element::float32,
                                count * k);
      block = scratch.narrow(0, 0, count).t();
    }
    if (bias.defined()) {
      at::addmm_out(out, bias.narrow(0, begin, count).to(at::kFloat), wide, block);
    } else {
      at::mm_out(out, wide, block);
    }
    y.narrow(1, begin, count).copy_(out);
  }
  return y;
}

// Whether kernels, or libtorch in blocks of float32, can make the product.
bool fits(const at::Tensor& x, const Factor& factor) {
  const auto& [weight, bias, packed] = factor;
  return !packed && x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1) &&
         (weight.is_contiguous() || lies_by_columns(weight)) && x.scalar_type() == weight.scalar_type() &&
         (!bias.defined() || bias.is_contiguous()) && x.numel() > 0 && kernels_may_run({x, weight, bias});
}

bool fits_tiles(const at::Tensor& x, const Factor& factor) {
  return fits(x, factor) && x.scalar_type() == at::kBFloat16 && factor.weight.is_contiguous() &&
         kernels::tiles_fit(factor.weight.size(0), factor.weight.size(1));
}

// In matrix tiles; x [..., K], its rows one after the other in memory.
std::vector<at::Tensor> in_tiles(const at::Tensor& x, std::span<const Factor> factors, kernels::Bend bend) {
  constexpr auto kType = kernels::Element::bfloat16;
  int64_t m = count_rows(x), k = x.size(-1);
  std::vector<int64_t> shape = x.sizes().vec();
  std::vector<at::Tensor> products;
  std::vector<kernels::TileFactor> jobs;
  for (const auto& [weight, bias, packed] : factors) {
    int64_t n = shape.back() = weight.size(0);
    at::Tensor& y = products.emplace_back(at::empty(shape, x.options()));
    jobs.push_back({n, {weight.const_data_ptr(), kType, k}, {y.mutable_data_ptr(), kType, n}, vector_of(bias), bend});
  }
  kernels::tile_products(m, k, {x.const_data_ptr(), kType, k}, jobs);
  return products;
}

// With packed weights, all of them of one kind.
std::vector<at::Tensor> with_codes(const at::Tensor& x, std::span<const Factor> factors,
                                   kernels::Bend bend = kernels::Bend::none) {
  int64_t m = count_rows(x), k = x.size(-1);
  std::vector<int64_t> shape = x.sizes().vec();
  std::vector<at::Tensor> products;
  std::vector<kernels::QuantizedFactor> jobs;
  for (const auto& [weight, bias, packed] : factors) {
    shape.back() = packed->n;
    at::Tensor& y = products.emplace_back(at::empty(shape, x.options()));
    jobs.push_back({packed->n,
                    packed->coding,
                    packed->bytes.const_data_ptr(),
                    {y.mutable_data_ptr(), element_of(y), packed->n},
                    vector_of(bias),
                    bend});
  }
  kernels::quantized_products(m, k, {x.const_data_ptr(), element_of(x), k}, jobs);
  return products;
}

bool fits_codes(const at::Tensor& x, const Factor& factor) {
  return factor.packed && !factor.packed->weight_only && x.dim() >= 1 && x.size(-1) == factor.packed->k &&
         x.numel() > 0 && kernels_may_run({x, factor.bias});
}

at::Tensor many_rows(const at::Tensor& x, const Factor& factor) {
  if (factor.packed && factor.packed->weight_only) return weight_only_product(x, *factor.packed, factor.bias);
  const at::Tensor weight = factor.packed ? unpack(*factor.packed, x) : factor.weight, &bias = factor.bias;
  if (fits(x, factor) && !multiplies_fast(weight.scalar_type())) {
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return in_float_blocks(x.reshape({count_rows(x), x.size(-1)}).contiguous(), weight, bias).view(shape);
  }
  return at::linear(x, weight, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace

void observe_products(ProductObserver* chosen) { observer = chosen; }

std::vector<at::Tensor> linears(const at::Tensor& x, std::span<const Factor> factors) {
  tell(x, factors);
  auto is_fit = [&](const Factor& factor) { return fits(x, factor); };
  if (std::all_of(factors.begin(), factors.end(), is_fit) && count_rows(x) <= kFewRows)
    return few_rows(x.is_contiguous() ? x : x.contiguous(), factors);
  if (std::all_of(factors.begin(), factors.end(), [&](const Factor& factor) { return fits_tiles(x, factor); }))
    return in_tiles(x.contiguous(), factors, kernels::Bend::none);
  if (std::all_of(factors.begin(), factors.end(), [&](const Factor& factor) { return fits_codes(x, factor); }))
    return with_codes(x.contiguous(), factors);
  std::vector<at::Tensor> products;
  for (const Factor& factor : factors) products.push_back(many_rows(x, factor));
  return products;
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  Factor factor{weight, bias};
  return linears(x, {&factor, 1})[0];
}

namespace {

using PointwiseLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                   c10::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::optional<c10::string_view>);

// oneDNN's product with an activation behind it; nothing in a libtorch that was built without.
std::optional<c10::TypedOperatorHandle<PointwiseLinear>> pointwise_linear() {
  static const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!found) return {};
  return found->typed<PointwiseLinear>();
}

std::optional<kernels::Bend> bend_of(Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return kernels::Bend::gelu;
    case Activation::gelu_tanh:
      return kernels::Bend::gelu_tanh;
    case Activation::relu:
      return kernels::Bend::relu;
    default:
      return {};
  }
}

struct PostOperation {
  c10::string_view name, algorithm;
};

std::optional<PostOperation> post_operation(Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return PostOperation{"gelu", "none"};
    case Activation::gelu_tanh:
      return PostOperation{"gelu", "tanh"};
    case Activation::relu:
      return PostOperation{"relu", ""};
    default:
      return {};
  }
}

}  // namespace

at::Tensor linear_activated(const at::Tensor& x, const Factor& factor, Activation activation) {
  const auto& [weight, bias, packed] = factor;
  auto bend = bend_of(activation);
  if (bend && fits_codes(x, factor)) {
    tell(x, {&factor, 1});
    return with_codes(x.contiguous(), {&factor, 1}, *bend)[0];
  }
  if (bend && count_rows(x) > kFewRows && fits_tiles(x, factor)) {
    tell(x, {&factor, 1});
    return in_tiles(x.contiguous(), {&factor, 1}, *bend)[0];
  }
  auto behind = post_operation(activation);
  bool fused = behind && fits(x, factor) && x.scalar_type() == at::kBFloat16 && multiplies_fast(at::kBFloat16) &&
               weight.is_contiguous() && count_rows(x) > kFewRows;
  auto product = fused ? pointwise_linear() : std::nullopt;
  if (!product) return activate(linears(x, {&factor, 1})[0], activation);
  tell(x, {&factor, 1});
  return product->call(x.contiguous(), weight, bias.defined() ? std::optional(bias) : std::nullopt, behind->name,
                       c10::List<std::optional<at::Scalar>>(), behind->algorithm);
}

}  // namespace nuri::ops
