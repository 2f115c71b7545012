#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "weights/published_matrices.h"

namespace nuri {
namespace {

// GPTQ (Frantar et al. 2022) as AutoGPTQ and GPTQModel write it. Behind module "m", of a matrix [n, k]:
//   m.qweight [k * bits / 32, n]       codes, those of a word follow each other along k
//   m.qzeros  [groups, n * bits / 32]  zero points, those of a word along n; less one in the older format ("gptq"),
//                                      where what is stored for 0 is the greatest number of its bits
//   m.scales  [groups, n]
//   m.g_idx   [k]                      each column's group; it may be absent where they stand in order
class Gptq : public PublishedMatrices {
 public:
  Gptq(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config, const ConfigReader& method)
      : PublishedMatrices(std::move(checkpoint), config),
        bits_(method.required<int64_t>("bits")),
        group_size_(method.optional<int64_t>("group_size", 128)),
        ordered_(!method.optional<bool>("desc_act", false)) {
    if (bits_ != 4 && bits_ != 8) method.reject("bits", "4 or 8");
    if (group_size_ != -1 && group_size_ < 1) method.reject("group_size", "at least 1, or -1");
    if (method.has("pack_dtype") && method.required<std::string>("pack_dtype") != "int32")
      method.reject("pack_dtype", "int32");
    if (method.optional<bool>("is_marlin_format", false)) method.reject("is_marlin_format", "false");
    refuse_other_sizes(method);
    const char* key = method.has("checkpoint_format") ? "checkpoint_format" : "format";
    std::string format = method.optional<std::string>(key, "gptq");
    std::ranges::transform(format, format.begin(), [](unsigned char c) { return std::tolower(c); });
    if (format != "gptq" && format != "gptq_v2") method.reject(key, "gptq or gptq_v2");
    less_one_ = format == "gptq";
  }

  std::optional<std::string> matrix_of(const std::string& tensor) const override {
    auto module = module_of(tensor, {".qweight", ".qzeros", ".scales", ".g_idx"});
    if (!module || find(*module + ".qweight") == nullptr) return {};
    return *module + ".weight";
  }

  // A bias of zeros, which AutoGPTQ writes for a module that has none.
  bool is_idle(const TensorInfo& tensor) const override {
    auto module = module_of(tensor.name, {".bias"});
    if (!module || find(*module + ".qweight") == nullptr) return false;
    return std::ranges::all_of(bytes_of(tensor), [](std::byte byte) { return byte == std::byte{}; });
  }

 protected:
  Size size_of(const std::string& matrix) const override {
    auto [words, n] = sizes_of(required(module(matrix) + ".qweight"));
    return {n, words * 32 / bits_};
  }

  PublishedMatrix open(const std::string& name, int64_t n, int64_t k) const override {
    const std::string prefix = module(name);
    const int64_t size = group_size_ == -1 ? std::max<int64_t>(k, 1) : group_size_, share = 32 / bits_;
    PublishedMatrix matrix{n, k, count_parts(k, size)};
    matrix.codes = {.bytes = bytes_of(required(prefix + ".qweight"), {DType::I32}, {count_parts(k, share), n}),
                    .bits = static_cast<int>(bits_),
                    .along = PackedIntegers::Along::columns,
                    .row_stride = 1,
                    .column_stride = n};
    const int64_t zero_words = count_parts(n, share);
    PackedIntegers zeros{.bytes = bytes_of(required(prefix + ".qzeros"), {DType::I32}, {matrix.groups, zero_words}),
                         .bits = static_cast<int>(bits_),
                         .along = PackedIntegers::Along::rows,
                         .row_stride = 1,
                         .column_stride = zero_words};
    read_zeros(zeros, matrix);
    for (uint8_t& zero : matrix.zeros) zero = (zero + less_one_) & ((1 << bits_) - 1);
    read_scales(required(prefix + ".scales"), {matrix.groups, n}, {1, n}, matrix);
    const TensorInfo* order = ordered_ ? find(prefix + ".g_idx") : &required(prefix + ".g_idx");
    read_groups(order, size, matrix);
    return matrix;
  }

 private:
  static std::string module(const std::string& matrix) { return *module_of(matrix, {".weight"}); }

  // Modules with bits or groups of their own: "+:" and a pattern; those with "-:" are not quantised.
  static void refuse_other_sizes(const ConfigReader& method) {
    if (!method.has("dynamic")) return;
    const Json rules = method.required<Json>("dynamic");
    for (const auto& rule : rules.items())
      if (!rule.key().starts_with("-:")) method.reject("dynamic", "no modules with bits or groups of their own");
  }

  int64_t bits_, group_size_;
  bool ordered_, less_one_ = true;
};

}  // namespace

std::unique_ptr<CodedMatrices> open_gptq(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config,
                                         const ConfigReader& method) {
  return std::make_unique<Gptq>(std::move(checkpoint), config, method);
}

}  // namespace nuri
