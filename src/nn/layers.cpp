#include "nn/layers.h"

#include <ATen/ATen.h>

#include "ops/packed.h"
#include "ops/weight_only.h"

namespace nuri::nn {
namespace {

ops::PackedWeight packed_of(const Matrix& weight) {
  return {
      *weight.coding, weight.numbers.size(0), weight.numbers.size(1), weight.codes, {}, weight.numbers.scalar_type()};
}

// 4 bits as libtorch's operators have them cannot be read by rows.
bool are_rows_apart(const Matrix& weight) {
  return weight.coding && weight.weight_only && kernels::is_four_bits(*weight.coding);
}

ops::Factor table_of(const Matrix& weight) {
  return are_rows_apart(weight) ? ops::Factor{ops::unpack(packed_of(weight), weight.numbers), {}} : factor_of(weight);
}

}  // namespace

ops::Factor factor_of(const Matrix& weight) {
  if (!weight.coding) return {weight.numbers, {}};
  const ops::PackedWeight packed = packed_of(weight);
  if (!weight.weight_only) return {{}, {}, std::make_shared<const ops::PackedWeight>(packed)};
  if (auto form = ops::to_weight_only(packed, weight.numbers.device())) return {{}, {}, form};
  return {ops::unpack(packed, weight.numbers), {}};
}

Linear::Linear(const WeightView& weights, int64_t in, int64_t out, bool bias, double deviation)
    : Linear(weights.matrix("weight", out, in, Init::normal(deviation))) {
  if (bias) factor_.bias = weights.get("bias", {out}, Init::constant(0));
}

Linear::Linear(const Matrix& weight) : factor_(factor_of(weight)) {}

std::vector<at::Tensor> Linear::together(const at::Tensor& x, std::initializer_list<const Linear*> layers) {
  std::vector<ops::Factor> factors;
  for (const Linear* layer : layers) factors.push_back(layer->factor_);
  return ops::linears(x, factors);
}

Table::Table(const WeightView& weights, int64_t count, int64_t width, double deviation)
    : weight_(weights.get("weight", {count, width}, Init::normal(deviation))) {}

at::Tensor Table::operator()(const at::Tensor& ids) const { return at::embedding(weight_, ids); }

Embedding::Embedding(const WeightView& weights, int64_t count, int64_t width, double deviation)
    : weight_(weights.matrix("weight", count, width, Init::normal(deviation))), rows_(table_of(weight_)) {}

at::Tensor Embedding::operator()(const at::Tensor& ids) const {
  const at::ScalarType type = ops::activation_type(weight_.numbers.scalar_type(), weight_.numbers.device());
  if (rows_.packed) return ops::unpack_rows(*rows_.packed, ids, type);
  return at::embedding(rows_.weight, ids).to(type);
}

Linear Embedding::head(const Matrix& matrix) const {
  const bool shared = matrix.coding && matrix.codes.is_same(weight_.codes);
  return shared && !are_rows_apart(matrix) ? Linear(rows_) : Linear(matrix);
}

LayerNorm::LayerNorm(const WeightView& weights, int64_t width, double epsilon)
    : weight_(weights.get("weight", {width}, Init::constant(1))),
      bias_(weights.get("bias", {width}, Init::constant(0))),
      epsilon_(epsilon) {}

RmsNorm::RmsNorm(const WeightView& weights, int64_t width, double epsilon)
    : weight_(weights.get("weight", {width}, Init::constant(1))), epsilon_(epsilon) {}

GatedMlp::GatedMlp(const WeightView& weights, int64_t width, int64_t hidden, ops::Activation activation, bool bias)
    : gate_(weights / "gate_proj", width, hidden, bias),
      up_(weights / "up_proj", width, hidden, bias),
      down_(weights / "down_proj", hidden, width, bias),
      activation_(activation) {}

QkvProjection::QkvProjection(const WeightView& weights, const Shape& shape, double deviation, const Names& names)
    : query_(weights / names.query, shape.width, shape.heads * shape.head_dim, shape.bias, deviation),
      key_(weights / names.key, shape.width, shape.kv_heads * shape.head_dim, shape.bias, deviation),
      value_(weights / names.value, shape.width, shape.kv_heads * shape.head_dim, shape.bias, deviation),
      shape_(shape) {
  if (shape.in_two) query_.take_in_two(), key_.take_in_two();
}

Qkv QkvProjection::operator()(const at::Tensor& x) const {
  int64_t rows = x.size(0);
  auto flat = Linear::together(x, {&query_, &key_, &value_});
  return {flat[0].view({rows, shape_.heads, shape_.head_dim}), flat[1].view({rows, shape_.kv_heads, shape_.head_dim}),
          flat[2].view({rows, shape_.kv_heads, shape_.head_dim})};
}

}  // namespace nuri::nn
