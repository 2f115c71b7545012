#include "ops/weight_only.h"

#include <ATen/ATen.h>

namespace nuri::ops {
namespace {

using kernels::Coding;
using kernels::kCodeGroup;
using kernels::kPanelRows;

// Up to here reading the weight once is the work; beyond, libtorch's product of 8 bits, which has no tiles, would be
// slower than one of numbers made for the occasion.
constexpr int64_t kFewRowsOfCodes = 16;

struct PanelCounts {
  int64_t panels, groups;
};
PanelCounts panels_of(const PackedWeight& weight) {
  return {(weight.n + kPanelRows - 1) / kPanelRows, (weight.k + kCodeGroup - 1) / kCodeGroup};
}

// The unsigned codes [N, K], a byte each, of the layout in kernels/coding.h.
at::Tensor codes_in_rows(const PackedWeight& weight) {
  const auto [panels, groups] = panels_of(weight);
  at::Tensor bytes = weight.bytes.narrow(0, 0, panels * groups * kernels::group_code_bytes(weight.coding)), rows;
  if (kernels::is_four_bits(weight.coding)) {
    at::Tensor pairs = bytes.view({panels, groups, 4, kPanelRows, 4});
    at::Tensor halves = at::stack({pairs.bitwise_and(15), pairs.bitwise_right_shift(4)}, 2);
    rows = halves.permute({0, 4, 1, 2, 3, 5});
  } else {
    rows = bytes.view({panels, groups, 8, kPanelRows, 4}).permute({0, 3, 1, 2, 4});
  }
  return rows.reshape({panels * kPanelRows, groups * kCodeGroup}).narrow(0, 0, weight.n).narrow(1, 0, weight.k);
}

// The scales behind the codes: [N] of rows, else [N, K / 32, 1 or 2], the least numbers behind the scales.
at::Tensor scales_in_rows(const PackedWeight& weight) {
  const auto [panels, groups] = panels_of(weight);
  const int64_t begin = panels * groups * kernels::group_code_bytes(weight.coding);
  at::Tensor bytes = weight.bytes.narrow(0, begin, panels * kernels::panel_scale_bytes(weight.coding, groups));
  if (weight.coding == Coding::int8_rows) return bytes.clone().view(at::kFloat).narrow(0, 0, weight.n);
  if (weight.coding == Coding::int4_steps) {
    at::Tensor panel = bytes.view({panels, -1});
    at::Tensor steps = panel.narrow(1, 0, kernels::kPanelStepBytes).clone().view(at::kFloat);
    at::Tensor counts = panel.narrow(1, kernels::kPanelStepBytes, groups * 2 * kPanelRows).to(at::kFloat);
    at::Tensor lines = counts.view({panels, groups, 2, kPanelRows}) * steps.view({panels, 1, 2, kPanelRows});
    return lines.permute({0, 3, 1, 2}).reshape({panels * kPanelRows, groups, 2}).narrow(0, 0, weight.n);
  }
  at::Tensor scales = bytes.clone().view(at::kHalf).view({panels, groups, -1, kPanelRows}).to(at::kFloat);
  return scales.permute({0, 3, 1, 2}).reshape({panels * kPanelRows, groups, -1}).narrow(0, 0, weight.n);
}

// -> [K / 32, N, 2]: a code's offset goes into the zero, for libtorch always takes 8 off.
at::Tensor scales_and_zeros(const PackedWeight& weight) {
  at::Tensor found = scales_in_rows(weight), scale = found.select(2, 0);
  at::Tensor zero = kernels::has_least(weight.coding) ? found.select(2, 1) + 8 * scale : at::zeros_like(scale);
  return at::stack({scale, zero}, 2).transpose(0, 1).to(at::kBFloat16).contiguous();
}

at::Tensor pack_int4(const at::Tensor& codes, at::Device device) {
  constexpr int64_t kTile = 16;
  const int64_t k = codes.size(1), inner = k % (8 * kTile) == 0 ? 8 : k % (4 * kTile) == 0 ? 4 : 2;
  if (!device.is_cuda()) return at::_convert_weight_to_int4pack_for_cpu(codes.to(at::kInt).contiguous(), inner);
  at::Tensor pairs = codes.reshape({codes.size(0), k / 2, 2});
  at::Tensor bytes = pairs.select(2, 0).bitwise_left_shift(4).bitwise_or(pairs.select(2, 1));
  return at::_convert_weight_to_int4pack(bytes.contiguous().to(device), inner);
}

at::Tensor int4_product(const at::Tensor& rows, const WeightOnly& weight) {
  at::Tensor x = rows.to(at::kBFloat16).contiguous();
  return x.is_cuda() ? at::_weight_int4pack_mm(x, weight.codes, kCodeGroup, weight.scales)
                     : at::_weight_int4pack_mm_for_cpu(x, weight.codes, kCodeGroup, weight.scales);
}

}  // namespace

std::shared_ptr<const PackedWeight> to_weight_only(const PackedWeight& weight, at::Device device) {
  WeightOnly form;
  if (weight.coding == Coding::int8_rows) {
    at::Tensor codes = codes_in_rows(weight).bitwise_xor(128).contiguous().view(at::kChar);  // takes 128 off
    form = {codes.to(device), scales_in_rows(weight).contiguous().to(device)};
  } else if (kernels::is_four_bits(weight.coding) && weight.n % 16 == 0 && weight.k % kCodeGroup == 0) {
    form = {pack_int4(codes_in_rows(weight), device), scales_and_zeros(weight).to(device)};
  } else {
    return nullptr;
  }
  PackedWeight changed{weight.coding, weight.n, weight.k, {}};
  changed.weight_only = std::make_shared<const WeightOnly>(std::move(form));
  return std::make_shared<const PackedWeight>(std::move(changed));
}

at::Tensor weight_only_product(const at::Tensor& x, const PackedWeight& weight, const at::Tensor& bias) {
  const WeightOnly& form = *weight.weight_only;
  at::Tensor rows = x.reshape({-1, weight.k});
  const bool graph = at::GradMode::is_enabled() && x.requires_grad();
  const bool numbers = graph || (!form.four_bits() && rows.size(0) > kFewRowsOfCodes);
  at::Tensor y = rows.size(0) == 0 ? at::empty({0, weight.n}, x.options())
                 : numbers         ? rows.matmul(weight_only_numbers(weight, x.scalar_type()).t())
                 : form.four_bits()
                     ? int4_product(rows, form)
                     : at::_weight_int8pack_mm(rows.to(at::kFloat).contiguous(), form.codes, form.scales);
  y = y.to(x.scalar_type());
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.n;
  return (bias.defined() ? y + bias : y).view(shape);
}

// libtorch has no operator that unpacks 4 bits: the product with the unit matrix tells them.
at::Tensor weight_only_numbers(const PackedWeight& weight, at::ScalarType dtype) {
  const WeightOnly& form = *weight.weight_only;
  if (!form.four_bits()) return (form.codes.to(at::kFloat) * form.scales.unsqueeze(1)).to(dtype);
  at::NoGradGuard no_gradients;
  return int4_product(at::eye(weight.k, form.scales.options()), form).t().to(dtype);
}

at::Tensor weight_only_rows(const PackedWeight& weight, const at::Tensor& ids, at::ScalarType dtype) {
  const WeightOnly& form = *weight.weight_only;
  if (form.four_bits()) return at::embedding(weight_only_numbers(weight, dtype), ids);
  at::Tensor scales = form.scales.index_select(0, ids.reshape({-1})).unsqueeze(1);
  at::Tensor rows = form.codes.index_select(0, ids.reshape({-1})).to(at::kFloat) * scales;
  std::vector<int64_t> shape = ids.sizes().vec();
  shape.push_back(weight.k);
  return rows.to(dtype).view(shape);
}

}  // namespace nuri::ops
