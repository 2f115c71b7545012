#include "weights/packing.h"

#include <ATen/ATen.h>

#include "base/large_pages.h"
#include "kernels/bfloat12.h"
#include "kernels/quantized.h"

namespace nuri {
namespace {

at::Tensor large_bytes(int64_t size) {
  auto memory = allocate_in_large_pages(static_cast<size_t>(size));
  return at::from_blob(
      memory.get(), {size}, [memory](void*) {}, at::TensorOptions(at::kByte));
}

kernels::ConstRows exact_rows(const at::Tensor& rows) {
  return {rows.const_data_ptr(), kernels::Element::bfloat16, rows.size(1)};
}

}  // namespace

kernels::Element element_of(at::ScalarType type) {
  return type == at::kHalf       ? kernels::Element::float16
         : type == at::kBFloat16 ? kernels::Element::bfloat16
                                 : kernels::Element::float32;
}

std::optional<kernels::Coding> usual_coding(std::string_view name, kernels::Coding coding) {
  const auto holds = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (holds("vision") || holds("visual")) return {};
  // An embedding may stand in front of the words and behind them.
  const bool delicate =
      holds("lm_head") || holds("embed") || holds("shared.weight") || holds("router") || holds("mlp.gate.");
  return delicate && kernels::is_four_bits(coding) ? kernels::Coding::int8_rotated : coding;
}

std::string_view name_of(kernels::Coding coding) { return kernels::coding_name(coding); }

WeightStore::Codes round_to_codes(const at::Tensor& numbers, kernels::Coding coding) {
  const int64_t n = numbers.size(0), k = numbers.size(1);
  const int64_t size = kernels::quantized_bytes(coding, n, k);
  at::Tensor bytes = numbers.is_meta() ? at::empty({size}, numbers.options().dtype(at::kByte)) : large_bytes(size);
  if (!numbers.is_meta()) {
    at::Tensor rows = (numbers.scalar_type() == at::kDouble ? numbers.to(at::kFloat) : numbers).contiguous();
    kernels::quantize(coding, n, k, {rows.const_data_ptr(), element_of(rows.scalar_type()), k},
                      bytes.mutable_data_ptr());
  }
  return {coding, bytes, numbers.scalar_type()};
}

bool fits_in_codes(const at::Tensor& numbers, kernels::Coding coding) {
  if (coding != kernels::Coding::bfloat12) return true;
  if (numbers.scalar_type() != at::kBFloat16) return false;
  if (numbers.is_meta()) return true;
  const at::Tensor rows = numbers.contiguous();
  return kernels::bfloat12_fits(rows.size(0), rows.size(1), exact_rows(rows));
}

std::optional<WeightStore::Codes> pack_in_codes(const at::Tensor& numbers, kernels::Coding coding) {
  if (coding != kernels::Coding::bfloat12) return round_to_codes(numbers, coding);
  if (numbers.scalar_type() != at::kBFloat16) return {};
  const int64_t n = numbers.size(0), k = numbers.size(1), size = kernels::quantized_bytes(coding, n, k);
  if (numbers.is_meta())
    return WeightStore::Codes{coding, at::empty({size}, numbers.options().dtype(at::kByte)), at::kBFloat16};
  at::Tensor bytes = large_bytes(size), rows = numbers.contiguous();
  if (!kernels::pack_bfloat12(n, k, exact_rows(rows), bytes.mutable_data_ptr())) return {};
  return WeightStore::Codes{coding, bytes, at::kBFloat16};
}

at::Tensor numbers_of(const WeightStore::Codes& codes, int64_t n, int64_t k) {
  if (codes.bytes.is_meta()) return at::empty({n, k}, codes.bytes.options().dtype(codes.dtype));
  at::Tensor rows = at::empty({n, k}, at::kFloat);
  kernels::dequantize(codes.coding, n, k, codes.bytes.const_data_ptr(), 0, n, rows.mutable_data_ptr<float>());
  return rows.to(codes.dtype);
}

at::Tensor cut(const at::Tensor& tensor, const MatrixPart& part, int64_t n) {
  at::Tensor one = tensor.select(0, part.index);
  return (part.transposed ? one.t() : one).narrow(0, part.begin, n);
}

}  // namespace nuri
