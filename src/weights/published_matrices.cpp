#include "weights/published_matrices.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/quantized.h"

namespace nuri {
namespace {

std::optional<at::ScalarType> configured_dtype(const ConfigReader& config) {
  for (const ConfigReader& place : {config, config.child_or_empty("text_config")})
    for (const char* key : {"dtype", "torch_dtype"}) {
      auto name = place.maybe<std::string>(key);
      if (!name) continue;
      if (*name == "float32") return at::kFloat;
      if (*name == "bfloat16") return at::kBFloat16;
      if (*name == "float16") return at::kHalf;
    }
  return {};
}

std::string names_of(std::initializer_list<DType> types) {
  std::string names;
  for (DType type : types) names.append(names.empty() ? "" : " or ").append(name_of(type));
  return names;
}

std::pair<kernels::Element, at::ScalarType> type_of_scales(DType type) {
  if (type == DType::F16) return {kernels::Element::float16, at::kHalf};
  if (type == DType::BF16) return {kernels::Element::bfloat16, at::kBFloat16};
  return {kernels::Element::float32, at::kFloat};
}

}  // namespace

PublishedMatrices::PublishedMatrices(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config)
    : checkpoint_(std::move(checkpoint)), dtype_(configured_dtype(config)) {}

std::optional<WeightStore::Codes> PublishedMatrices::read(const std::string& matrix, int64_t n, int64_t k) const {
  PublishedMatrix found = open(matrix, n, k);
  auto coding = coding_of(found);
  if (!coding) return {};
  return WeightStore::Codes{*coding, packed_as(found, *coding), dtype_.value_or(found.type)};
}

at::Tensor PublishedMatrices::numbers(const std::string& matrix, int64_t n, int64_t k,
                                      std::optional<at::ScalarType> dtype) const {
  PublishedMatrix found = open(matrix, n, k);
  return numbers_of(found, dtype.value_or(found.type));
}

int64_t PublishedMatrices::copied_bytes(const std::string& matrix, std::optional<at::ScalarType> dtype) const {
  auto [n, k] = size_of(matrix);
  if (n < 1 || k < 1) return 0;
  PublishedMatrix found = open(matrix, n, k);
  if (auto coding = coding_of(found)) return kernels::quantized_bytes(*coding, n, k);
  return n * k * static_cast<int64_t>(c10::elementSize(dtype.value_or(found.type)));
}

std::optional<std::string> PublishedMatrices::module_of(std::string_view tensor,
                                                        std::initializer_list<std::string_view> suffixes) {
  for (std::string_view suffix : suffixes)
    if (tensor.ends_with(suffix)) return std::string(tensor.substr(0, tensor.size() - suffix.size()));
  return {};
}

const TensorInfo& PublishedMatrices::required(const std::string& name) const {
  if (const TensorInfo* tensor = find(name)) return *tensor;
  throw Error(ErrorKind::format,
              fmt::format("{}: tensor {} not found, expected it beside the codes", checkpoint_->path().string(), name));
}

void PublishedMatrices::refuse(const TensorInfo& tensor, std::string_view found, std::string_view expected) const {
  throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found {}, expected {}",
                                             checkpoint_->file_of(tensor).string(), tensor.name, found, expected));
}

std::span<const std::byte> PublishedMatrices::bytes_of(const TensorInfo& tensor, std::initializer_list<DType> types,
                                                       std::initializer_list<int64_t> shape) const {
  if (std::ranges::find(types, tensor.dtype) == types.end())
    refuse(tensor, fmt::format("type {}", name_of(tensor.dtype)), names_of(types));
  if (!std::ranges::equal(tensor.shape, shape))
    refuse(tensor, "shape " + shape_text(tensor.shape), shape_text(std::vector<int64_t>(shape)));
  return checkpoint_->data(tensor);
}

std::array<int64_t, 2> PublishedMatrices::sizes_of(const TensorInfo& tensor) const {
  if (tensor.shape.size() != 2) refuse(tensor, "shape " + shape_text(tensor.shape), "two dimensions");
  return {tensor.shape[0], tensor.shape[1]};
}

void PublishedMatrices::read_zeros(const PackedIntegers& zeros, PublishedMatrix& matrix) {
  matrix.zeros.resize(static_cast<size_t>(matrix.n * matrix.groups));
  for (int64_t row = 0; row < matrix.n; ++row)
    for (int64_t group = 0; group < matrix.groups; ++group)
      matrix.zeros[static_cast<size_t>(row * matrix.groups + group)] = zeros.at(row, group);
}

void PublishedMatrices::read_scales(const TensorInfo& tensor, std::initializer_list<int64_t> shape,
                                    std::array<int64_t, 2> strides, PublishedMatrix& matrix) const {
  auto bytes = bytes_of(tensor, {DType::F16, DType::BF16, DType::F32}, shape);
  auto [element, type] = type_of_scales(tensor.dtype);
  std::vector<float> stored(static_cast<size_t>(tensor.elements()));
  kernels::convert(bytes.data(), element, stored.data(), kernels::Element::float32, tensor.elements());
  matrix.type = type;
  matrix.scales.resize(static_cast<size_t>(matrix.n * matrix.groups));
  for (int64_t row = 0; row < matrix.n; ++row)
    for (int64_t group = 0; group < matrix.groups; ++group) {
      const float scale = stored[static_cast<size_t>(row * strides[0] + group * strides[1])];
      if (!std::isfinite(scale))
        refuse(tensor, fmt::format("{} in group {} of row {}", scale, group, row), "a finite scale");
      matrix.scales[static_cast<size_t>(row * matrix.groups + group)] = scale;
    }
}

void PublishedMatrices::read_groups(const TensorInfo* order, int64_t group_size, PublishedMatrix& matrix) const {
  matrix.group_of.resize(static_cast<size_t>(matrix.k));
  if (order == nullptr) {
    for (int64_t i = 0; i < matrix.k; ++i)
      matrix.group_of[static_cast<size_t>(i)] = static_cast<int32_t>(i / group_size);
    return;
  }
  auto bytes = bytes_of(*order, {DType::I32}, {matrix.k});
  std::memcpy(matrix.group_of.data(), bytes.data(), bytes.size());
  for (int64_t i = 0; i < matrix.k; ++i)
    if (int32_t group = matrix.group_of[static_cast<size_t>(i)]; group < 0 || group >= matrix.groups)
      refuse(*order, fmt::format("group {} of column {}", group, i), fmt::format("0 to {}", matrix.groups - 1));
}

}  // namespace nuri
