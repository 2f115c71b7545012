#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "weights/published_matrices.h"

namespace nuri {
namespace {

// How the matrices of a group of `config_groups` are stored.
struct Scheme {
  enum class Share { tensor, channel, group };  // who shares a scale
  int bits;                                     // of codes in words; those in bytes have 8
  Share share;
  int64_t group_size;
  bool symmetric, packed;
};

// The compressed-tensors package's files (https://github.com/vllm-project/compressed-tensors). Behind module "m", of a
// matrix [n, k], format "pack-quantized":
//   m.weight_packed      [n, k * bits / 32]  codes, those of a word follow each other along k
//   m.weight_zero_point  [n * bits / 32, g]  zero points, those of a word along n; of asymmetric ones only
//   m.weight_shape       [2]                 n and k
// and "int-quantized" or "naive-quantized":
//   m.weight             [n, k]              codes, signed
//   m.weight_zero_point                      zero points, signed, shaped as the scales
// and of all:
//   m.weight_scale       [n, g], [n, 1] or [1]
//   m.weight_g_idx       [k]                 each column's group, or -1 throughout: they stand in order
// Scales of activations (m.input_scale, m.input_zero_point) are not needed: products find their own.
class CompressedTensors : public PublishedMatrices {
 public:
  CompressedTensors(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config,
                    const ConfigReader& method);

  std::optional<std::string> matrix_of(const std::string& tensor) const override {
    auto module = module_of(tensor, {".weight_packed", ".weight_scale", ".weight_zero_point", ".weight_shape",
                                     ".weight_g_idx", ".input_scale", ".input_zero_point", ".weight"});
    if (!module) return {};
    const TensorInfo* bytes = find(*module + ".weight");
    const bool in_bytes = bytes != nullptr && bytes->dtype == DType::I8;
    const bool is_numbers = tensor.ends_with(".weight") && !in_bytes;
    if (is_numbers || (!in_bytes && find(*module + ".weight_packed") == nullptr)) return {};
    return *module + ".weight";
  }

 protected:
  Size size_of(const std::string& matrix) const override;
  PublishedMatrix open(const std::string& matrix, int64_t n, int64_t k) const override;

 private:
  static std::vector<int64_t> shape_of_scales(const Scheme& scheme, int64_t n, int64_t k);
  const Scheme& scheme_of(const std::string& prefix, int64_t n, int64_t k) const;
  PackedIntegers codes_of(const std::string& prefix, const Scheme& scheme, int64_t n, int64_t k) const;
  void open_zeros(const std::string& prefix, const Scheme& scheme, PublishedMatrix& matrix) const;
  void read_signed_zeros(const TensorInfo& tensor, const Scheme& scheme, PublishedMatrix& matrix) const;
  void read_order(const std::string& prefix, const Scheme& scheme, PublishedMatrix& matrix) const;
  Size stated_size(const TensorInfo& shape) const;

  std::vector<Scheme> schemes_;
};

Scheme::Share share_of(const ConfigReader& weights, int64_t group_size) {
  const auto strategy = weights.maybe<std::string>("strategy");
  if (!strategy)
    return group_size > 0 ? Scheme::Share::group : group_size == -1 ? Scheme::Share::channel : Scheme::Share::tensor;
  if (*strategy == "tensor") return Scheme::Share::tensor;
  if (*strategy == "channel") return Scheme::Share::channel;
  if (*strategy != "group") weights.reject("strategy", "tensor, channel or group");
  if (group_size < 1) weights.reject("group_size", "at least 1");
  return Scheme::Share::group;
}

Scheme read_scheme(const ConfigReader& group, const ConfigReader& place) {
  const auto format = place.maybe<std::string>("format");
  const bool packed = format == "pack-quantized";
  if (!packed && format != "int-quantized" && format != "naive-quantized")
    place.reject("format", "pack-quantized, int-quantized or naive-quantized");
  if (!group.has("weights")) group.reject("weights", "codes of the weights");
  if (group.has("output_activations")) group.reject("output_activations", "null");
  if (group.has("input_activations")) {
    ConfigReader activations = group.child("input_activations");
    if (activations.optional<std::string>("type", "int") != "int") activations.reject("type", "int");
  }
  ConfigReader weights = group.child("weights");
  if (weights.optional<std::string>("type", "int") != "int") weights.reject("type", "int");
  const auto bits = weights.optional<int64_t>("num_bits", 8);
  if (packed && bits != 4 && bits != 8) weights.reject("num_bits", "4 or 8");
  if (bits < 1 || bits > 8) weights.reject("num_bits", "1 to 8");
  const auto group_size = weights.maybe<int64_t>("group_size").value_or(0);
  return {packed ? static_cast<int>(bits) : 8, share_of(weights, group_size), group_size,
          weights.optional<bool>("symmetric", true), packed};
}

CompressedTensors::CompressedTensors(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config,
                                     const ConfigReader& method)
    : PublishedMatrices(std::move(checkpoint), config) {
  if (method.has("kv_cache_scheme")) method.reject("kv_cache_scheme", "null");
  if (ConfigReader sparse = method.child_or_empty("sparsity_config"); sparse.has("format"))
    if (sparse.required<std::string>("format") != "dense") sparse.reject("format", "dense");
  if (method.has("transform_config") && !method.required<Json>("transform_config").empty())
    method.reject("transform_config", "none");
  ConfigReader groups = method.child("config_groups");
  for (const auto& item : groups.json().items()) {
    if (!item.value().is_object()) groups.reject(item.key(), "an object");
    ConfigReader group = groups.child(item.key());
    schemes_.push_back(read_scheme(group, group.has("format") ? group : method));
  }
  if (schemes_.empty()) method.reject("config_groups", "at least one group");
}

CompressedTensors::Size CompressedTensors::stated_size(const TensorInfo& shape) const {
  auto bytes = bytes_of(shape, {DType::I64, DType::I32}, {2});
  std::array<int64_t, 2> sizes{};
  for (size_t i = 0; i < 2; ++i) {
    int32_t narrow = 0;
    if (shape.dtype == DType::I64) {
      std::memcpy(&sizes[i], bytes.data() + 8 * i, 8);
    } else {
      std::memcpy(&narrow, bytes.data() + 4 * i, 4);
      sizes[i] = narrow;
    }
  }
  return {sizes[0], sizes[1]};
}

CompressedTensors::Size CompressedTensors::size_of(const std::string& matrix) const {
  const std::string prefix = *module_of(matrix, {".weight"});
  if (find(prefix + ".weight_packed") != nullptr) return stated_size(required(prefix + ".weight_shape"));
  auto [n, k] = sizes_of(required(prefix + ".weight"));
  return {n, k};
}

std::vector<int64_t> CompressedTensors::shape_of_scales(const Scheme& scheme, int64_t n, int64_t k) {
  if (scheme.share == Scheme::Share::tensor) return {1};
  return {n, scheme.share == Scheme::Share::channel ? 1 : count_parts(k, scheme.group_size)};
}

// Which modules a group targets is told by names and classes of the reference; what is stored tells it too.
const Scheme& CompressedTensors::scheme_of(const std::string& prefix, int64_t n, int64_t k) const {
  const TensorInfo *words = find(prefix + ".weight_packed"), &scale = required(prefix + ".weight_scale");
  const bool packed = words != nullptr;
  const auto fits = [&](const Scheme& scheme) {
    return scheme.packed == packed && scale.shape == shape_of_scales(scheme, n, k) &&
           (!packed || words->shape == std::vector<int64_t>{n, count_parts(k, 32 / scheme.bits)}) &&
           (scheme.symmetric || find(prefix + ".weight_zero_point") != nullptr);
  };
  const auto found = std::ranges::find_if(schemes_, fits);
  if (found != schemes_.end()) return *found;
  const auto alike = std::ranges::find(schemes_, packed, &Scheme::packed);
  if (alike == schemes_.end())
    refuse(packed ? *words : required(prefix + ".weight"), packed ? "codes in words" : "codes in bytes",
           "what `format` tells");
  return *alike;  // of which one tensor or the other is refused
}

void CompressedTensors::read_signed_zeros(const TensorInfo& tensor, const Scheme& scheme,
                                          PublishedMatrix& matrix) const {
  const bool one = scheme.share == Scheme::Share::tensor;
  PackedIntegers zeros{
      .bytes = one ? bytes_of(tensor, {DType::I8}, {1}) : bytes_of(tensor, {DType::I8}, {matrix.n, matrix.groups}),
      .bits = 8,
      .word_bytes = 1,
      .row_stride = one ? 0 : matrix.groups,
      .column_stride = 1,
      .flipped = 0x80};
  read_zeros(zeros, matrix);
  const int middle = 1 << (scheme.bits - 1);
  for (uint8_t& zero : matrix.zeros) {
    const int signed_zero = zero - 128;
    if (signed_zero < -middle || signed_zero >= middle)
      refuse(tensor, fmt::format("{}", signed_zero), fmt::format("{} to {}", -middle, middle - 1));
    zero = static_cast<uint8_t>(signed_zero + middle);
  }
}

void CompressedTensors::read_order(const std::string& prefix, const Scheme& scheme, PublishedMatrix& matrix) const {
  const int64_t size = scheme.share == Scheme::Share::group ? scheme.group_size : std::max<int64_t>(matrix.k, 1);
  const TensorInfo* order = find(prefix + ".weight_g_idx");
  if (order != nullptr) {
    auto bytes = bytes_of(*order, {DType::I32}, {matrix.k});
    if (std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0xFF}; })) order = nullptr;
  }
  read_groups(order, size, matrix);
}

PackedIntegers CompressedTensors::codes_of(const std::string& prefix, const Scheme& scheme, int64_t n,
                                           int64_t k) const {
  const int64_t words = count_parts(k, 32 / scheme.bits);
  if (scheme.packed)
    return {.bytes = bytes_of(required(prefix + ".weight_packed"), {DType::I32}, {n, words}),
            .bits = scheme.bits,
            .row_stride = words,
            .column_stride = 1};
  return {.bytes = bytes_of(required(prefix + ".weight"), {DType::I8}, {n, k}),
          .bits = 8,
          .word_bytes = 1,
          .row_stride = k,
          .column_stride = 1,
          .flipped = 0x80};
}

void CompressedTensors::open_zeros(const std::string& prefix, const Scheme& scheme, PublishedMatrix& matrix) const {
  const std::string name = prefix + ".weight_zero_point";
  if (scheme.symmetric && find(name) == nullptr) {
    matrix.zeros.assign(matrix.scales.size(), static_cast<uint8_t>(1 << (scheme.bits - 1)));
  } else if (scheme.symmetric || !scheme.packed) {
    read_signed_zeros(required(name), scheme, matrix);
  } else {
    const int64_t words = count_parts(matrix.n, 32 / scheme.bits);
    read_zeros({.bytes = bytes_of(required(name), {DType::I32}, {words, matrix.groups}),
                .bits = scheme.bits,
                .along = PackedIntegers::Along::rows,
                .row_stride = matrix.groups,
                .column_stride = 1},
               matrix);
  }
}

PublishedMatrix CompressedTensors::open(const std::string& name, int64_t n, int64_t k) const {
  const std::string prefix = *module_of(name, {".weight"});
  if (const TensorInfo* shape = find(prefix + ".weight_shape"))
    if (auto stated = stated_size(*shape); stated.n != n || stated.k != k)
      refuse(*shape, fmt::format("[{}, {}]", stated.n, stated.k), fmt::format("[{}, {}]", n, k));
  const Scheme& scheme = scheme_of(prefix, n, k);
  PublishedMatrix matrix{n, k, shape_of_scales(scheme, n, k).back()};
  matrix.codes = codes_of(prefix, scheme, n, k);
  const TensorInfo& scale = required(prefix + ".weight_scale");
  if (scheme.share == Scheme::Share::tensor)
    read_scales(scale, {1}, {0, 0}, matrix);
  else
    read_scales(scale, {n, matrix.groups}, {matrix.groups, 1}, matrix);
  open_zeros(prefix, scheme, matrix);
  read_order(prefix, scheme, matrix);
  return matrix;
}

}  // namespace

std::unique_ptr<CodedMatrices> open_compressed_tensors(std::shared_ptr<const Checkpoint> checkpoint,
                                                       const ConfigReader& config, const ConfigReader& method) {
  return std::make_unique<CompressedTensors>(std::move(checkpoint), config, method);
}

}  // namespace nuri
