#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <atomic>

#include "kernels/bfloat12.h"
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

void tell(const at::Tensor& x, std::span<const Factor> factors, const Factor* gate = nullptr) {
  auto* watching = observer.load(std::memory_order_relaxed);
  if (!watching) return;
  std::vector<Factor> all(factors.begin(), factors.end());
  if (gate) all.push_back(*gate);
  watching->see(x, all);
}

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

// What comes behind a product, besides its bias.
struct Behind {
  kernels::Bend bend = kernels::Bend::none;
  at::Tensor added = {};                    // [..., N]
  const Factor* gate = nullptr;             // its bent product multiplies this one's, which is not bent itself
  std::optional<at::ScalarType> type = {};  // of the result; none: x's
};

kernels::Epilogue epilogue_of(const Factor& factor, kernels::Bend bend, const at::Tensor& added) {
  kernels::Epilogue epilogue{vector_of(factor.bias), bend};
  if (added.defined()) {
    epilogue.join = kernels::Join::plus;
    epilogue.other = {added.const_data_ptr(), element_of(added), added.size(-1)};
  }
  return epilogue;
}

// Each factor's product of x [..., K], its rows one after the other in memory: `job_of` tells a kernel of a factor but
// for its result, and `run` runs it on several.
template <class Job, class JobOf, class Run>
std::vector<at::Tensor> products_by(const at::Tensor& x, std::span<const Factor> factors, const Behind& behind,
                                    const JobOf& job_of, const Run& run) {
  std::vector<int64_t> shape = x.sizes().vec();
  std::vector<at::Tensor> products;
  std::vector<Job> jobs;
  Job gate{};
  if (behind.gate) {
    gate = job_of(*behind.gate);
    gate.epilogue = epilogue_of(*behind.gate, behind.bend, {});
  }
  for (const Factor& factor : factors) {
    Job& job = jobs.emplace_back(job_of(factor));
    shape.back() = job.n;
    at::Tensor& y = products.emplace_back(at::empty(shape, x.options().dtype(behind.type.value_or(x.scalar_type()))));
    job.y = {y.mutable_data_ptr(), element_of(y), job.n};
    job.epilogue = epilogue_of(factor, behind.gate ? kernels::Bend::none : behind.bend, behind.added);
    job.gate = behind.gate ? &gate : nullptr;
  }
  run(std::span<const Job>(jobs));
  return products;
}

kernels::ConstRows rows_of(const at::Tensor& x) { return {x.const_data_ptr(), element_of(x), x.size(-1)}; }

std::vector<at::Tensor> few_rows(const at::Tensor& x, std::span<const Factor> factors, const Behind& behind = {}) {
  return products_by<kernels::FewRowsFactor>(
      x, factors, behind,
      [](const Factor& factor) -> kernels::FewRowsFactor {
        return {factor.weight.size(0), rows_of(factor.weight), {}};
      },
      [&](std::span<const kernels::FewRowsFactor> jobs) {
        kernels::few_rows_products(count_rows(x), x.size(-1), rows_of(x), jobs);
      });
}

at::Tensor few_rows_by_columns(const at::Tensor& x, const Factor& factor) {
  const at::Tensor& weight = factor.weight;
  std::vector<int64_t> shape = x.sizes().vec();
  int64_t n = shape.back() = weight.size(0);
  at::Tensor y = at::empty(shape, x.options());
  kernels::few_rows_product_by_columns(count_rows(x), n, x.size(-1), rows_of(x),
                                       {weight.const_data_ptr(), element_of(weight), weight.stride(1)},
                                       {y.mutable_data_ptr(), element_of(y), n}, vector_of(factor.bias));
  return y;
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
  const auto& [weight, bias, packed, in_two] = factor;
  return !packed && x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1) &&
         (weight.is_contiguous() || lies_by_columns(weight)) &&
         (x.scalar_type() == weight.scalar_type() || x.scalar_type() == at::kFloat) &&
         (!bias.defined() || bias.is_contiguous()) && x.numel() > 0 && kernels_may_run({x, weight, bias});
}

bool fits_few_rows(const at::Tensor& x, const Factor& factor) {
  return fits(x, factor) && factor.weight.is_contiguous();
}

bool fits_tiles(const at::Tensor& x, const Factor& factor) {
  return fits(x, factor) && factor.weight.scalar_type() == at::kBFloat16 && factor.weight.is_contiguous() &&
         kernels::tiles_fit(factor.weight.size(0), factor.weight.size(1));
}

std::vector<at::Tensor> in_tiles(const at::Tensor& x, std::span<const Factor> factors, const Behind& behind = {}) {
  return products_by<kernels::TileFactor>(
      x, factors, behind,
      [](const Factor& factor) -> kernels::TileFactor {
        kernels::TileFactor job{factor.weight.size(0), rows_of(factor.weight), {}};
        job.in_two = factor.in_two;
        return job;
      },
      [&](std::span<const kernels::TileFactor> jobs) {
        kernels::tile_products(count_rows(x), x.size(-1), rows_of(x), jobs);
      });
}

// With packed weights, all of them of one kind.
std::vector<at::Tensor> with_codes(const at::Tensor& x, std::span<const Factor> factors, const Behind& behind = {}) {
  return products_by<kernels::QuantizedFactor>(
      x, factors, behind,
      [](const Factor& factor) -> kernels::QuantizedFactor {
        kernels::QuantizedFactor job{
            factor.packed->n, factor.packed->coding, factor.packed->bytes.const_data_ptr(), {}};
        job.rounds = factor.packed->type != at::kFloat;
        job.in_two = factor.in_two;
        return job;
      },
      [&](std::span<const kernels::QuantizedFactor> jobs) {
        kernels::quantized_products(count_rows(x), x.size(-1), rows_of(x), jobs);
      });
}

int64_t rows_of_weight(const Factor& factor) { return factor.packed ? factor.packed->n : factor.weight.size(0); }

// Whether one can be the other's gate.
bool alike(const Factor& gate, const Factor& up) {
  return !gate.packed == !up.packed && (!gate.packed || gate.packed->coding == up.packed->coding);
}

bool fits_codes(const at::Tensor& x, const Factor& factor) {
  return factor.packed && !factor.packed->weight_only && x.dim() >= 1 && x.size(-1) == factor.packed->k &&
         x.numel() > 0 && kernels_may_run({x, factor.bias}) &&
         (factor.packed->coding != kernels::Coding::bfloat12 ||
          kernels::bfloat12_multiplies(count_rows(x), factor.packed->n, factor.packed->k, element_of(x),
                                       factor.packed->type != at::kFloat));
}

// Codings that one call of quantized_products takes together.
int kind_of(const Factor& factor) {
  if (!factor.packed) return 0;
  switch (factor.packed->coding) {
    case kernels::Coding::int8_rows:
      return 1;
    case kernels::Coding::int8_rotated:
      return 2;
    case kernels::Coding::bfloat12:
      return 3;
    default:
      return 4;
  }
}

// For libtorch's own products, which take one type alone. What autocast casts is not touched.
at::Tensor in_type_of(const at::Tensor& weight, const at::Tensor& x) {
  if (x.scalar_type() == weight.scalar_type() || at::autocast::is_autocast_enabled(x.device().type())) return x;
  return x.to(weight.scalar_type());
}

// As numbers of x's type, or where it may be rounded of what the codes are of, in half the bytes.
Factor in_numbers(const at::Tensor& x, const Factor& factor) {
  if (!factor.packed) return factor;
  const bool narrow =
      factor.packed->coding == kernels::Coding::bfloat12 && factor.packed->type != at::kFloat && kernels_may_run({x});
  return {unpack(*factor.packed, at::empty({0}, narrow ? x.options().dtype(at::kBFloat16) : x.options())), factor.bias};
}

at::Tensor many_rows(const at::Tensor& x, const Factor& factor) {
  if (factor.packed && factor.packed->weight_only) return weight_only_product(x, *factor.packed, factor.bias);
  const Factor numbers = in_numbers(x, factor);
  const auto& [weight, bias, none, in_two] = numbers;
  if (fits(x, numbers) && !multiplies_fast(weight.scalar_type())) {
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return in_float_blocks(x.reshape({count_rows(x), x.size(-1)}).contiguous(), weight, bias).view(shape);
  }
  const at::Tensor read = in_type_of(weight, x);
  at::Tensor made = at::linear(read, weight, bias.defined() ? std::optional(in_type_of(weight, bias)) : std::nullopt);
  return read.is_same(x) ? made : made.to(x.scalar_type());
}

enum class Way { none, few, tiles, codes };

// The kernel that takes all of them.
Way way_of(const at::Tensor& x, std::span<const Factor> factors, const Factor* gate = nullptr) {
  const auto all = [&](auto fits_one) {
    return std::ranges::all_of(factors, [&](const Factor& factor) { return fits_one(x, factor); }) &&
           (!gate || fits_one(x, *gate));
  };
  if (all(fits_few_rows)) {
    const bool tiles = all(fits_tiles);
    if (count_rows(x) <= kernels::most_few_rows(tiles)) return Way::few;
    return tiles ? Way::tiles : Way::none;
  }
  const bool codes = all(fits_codes) && all([&](const at::Tensor&, const Factor& factor) {
                       return kind_of(factor) == kind_of(factors[0]);
                     });
  return codes ? Way::codes : Way::none;
}

std::vector<at::Tensor> go(Way way, const at::Tensor& x, std::span<const Factor> factors, const Behind& behind = {}) {
  const at::Tensor rows = x.contiguous();
  return way == Way::few     ? few_rows(rows, factors, behind)
         : way == Way::tiles ? in_tiles(rows, factors, behind)
                             : with_codes(rows, factors, behind);
}

// By that kernel, if there is one.
std::optional<std::vector<at::Tensor>> by_kernel(const at::Tensor& x, std::span<const Factor> factors,
                                                 const Behind& behind = {}) {
  const Way way = way_of(x, factors, behind.gate);
  if (way == Way::none) return {};
  tell(x, factors, behind.gate);
  return go(way, x, factors, behind);
}

// One by itself: beside others that no kernel takes with it, as codes beside numbers, it may have one of its own.
at::Tensor product(const at::Tensor& x, const Factor& factor) {
  if (const Way way = way_of(x, {&factor, 1}); way != Way::none) return go(way, x, {&factor, 1})[0];
  if (!fits(x, factor) || count_rows(x) > kernels::most_few_rows(false)) return many_rows(x, factor);
  return few_rows_by_columns(x.contiguous(), factor);
}

}  // namespace

void observe_products(ProductObserver* chosen) { observer = chosen; }

std::vector<at::Tensor> linears(const at::Tensor& x, std::span<const Factor> factors) {
  if (auto products = by_kernel(x, factors)) return *std::move(products);
  tell(x, factors);
  std::vector<at::Tensor> products;
  for (const Factor& factor : factors) products.push_back(product(x, factor));
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
    case Activation::quick_gelu:
      return kernels::Bend::quick_gelu;
    case Activation::relu:
      return kernels::Bend::relu;
    case Activation::silu:
      return kernels::Bend::silu;
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
  const auto& [weight, bias, packed, in_two] = factor;
  if (auto bend = bend_of(activation)) {
    if (auto products = by_kernel(x, {&factor, 1}, {.bend = *bend})) return products->front();
  }
  auto behind = post_operation(activation);
  bool fused = behind && fits(x, factor) && weight.scalar_type() == at::kBFloat16 && multiplies_fast(at::kBFloat16) &&
               weight.is_contiguous() && count_rows(x) > kernels::most_few_rows(false);
  auto product = fused ? pointwise_linear() : std::nullopt;
  if (!product) return activate(linears(x, {&factor, 1})[0], activation);
  tell(x, {&factor, 1});
  const at::Tensor made =
      product->call(in_type_of(weight, x).contiguous(), weight, bias.defined() ? std::optional(bias) : std::nullopt,
                    behind->name, c10::List<std::optional<at::Scalar>>(), behind->algorithm);
  return made.to(x.scalar_type());
}

namespace {

// In that type, where a kernel makes it.
at::Tensor added_as(at::ScalarType type, const at::Tensor& x, const Factor& factor, const at::Tensor& other) {
  std::vector<int64_t> shape = x.sizes().vec();
  if (!shape.empty()) shape.back() = rows_of_weight(factor);
  const bool fits_other = other.defined() && other.sizes() == shape && kernels_may_run({other});
  Behind behind{.type = type};
  if (fits_other) behind.added = other.contiguous();
  auto products = by_kernel(x, {&factor, 1}, behind);
  at::Tensor made = products ? products->front() : linears(x, {&factor, 1})[0];
  return other.defined() && !(products && fits_other) ? made + other : made;
}

at::Tensor gated_as(at::ScalarType type, const at::Tensor& x, const Factor& gate, const Factor& up,
                    Activation activation) {
  auto bend = bend_of(activation);
  if (bend && rows_of_weight(gate) == rows_of_weight(up) && alike(gate, up)) {
    if (auto products = by_kernel(x, {&up, 1}, {.bend = *bend, .gate = &gate, .type = type})) return products->front();
  }
  const Factor both[] = {gate, up};
  auto wide = linears(x, both);
  return gated(wide[0], wide[1], activation);
}

// Whether a product of so many rows of float32 rounds them itself, to bfloat16 or less.
bool rounds_rows(int64_t rows, const Factor& factor) {
  const auto& [weight, bias, packed, in_two] = factor;
  if (rows <= kernels::most_few_rows(true) || !kernels_may_run({weight, bias})) return false;
  if (packed)
    return !packed->weight_only && packed->type != at::kFloat &&
           (packed->coding != kernels::Coding::bfloat12 || kernels::tiles_fit(packed->n, packed->k));
  return weight.scalar_type() == at::kBFloat16 && weight.is_contiguous() &&
         kernels::tiles_fit(weight.size(0), weight.size(1));
}

}  // namespace

at::Tensor linear_added(const at::Tensor& x, const Factor& factor, const at::Tensor& other) {
  return added_as(x.scalar_type(), x, factor, other);
}

at::Tensor linear_gated(const at::Tensor& x, const Factor& gate, const Factor& up, Activation activation) {
  return gated_as(x.scalar_type(), x, gate, up, activation);
}

// What lies between is what `down` would round, in half the bytes.
at::Tensor feed_forward(const at::Tensor& x, const Factor& gate, const Factor& up, const Factor& down,
                        Activation activation, const at::Tensor& other) {
  const bool narrow = x.scalar_type() == at::kFloat && x.dim() >= 1 && x.numel() > 0 && kernels_may_run({x}) &&
                      rounds_rows(count_rows(x), down);
  const at::Tensor between = gated_as(narrow ? at::kBFloat16 : x.scalar_type(), x, gate, up, activation);
  const at::Tensor made = added_as(x.scalar_type(), between, down, other);
  return narrow ? made.to(x.scalar_type()) : made;
}

}  // namespace nuri::ops
