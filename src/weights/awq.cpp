#include <algorithm>
#include <cctype>

#include "weights/published_matrices.h"

namespace nuri {
namespace {

// AWQ (Lin et al. 2023) as AutoAWQ writes it: 4 bits. Behind module "m", of a matrix [n, k], version "gemm":
//   m.qweight [k, n / 8]       codes, those of a word follow each other along n, in an order of its own
//   m.qzeros  [groups, n / 8]  zero points, the same
//   m.scales  [groups, n]
// and version "gemv", in which the groups of a row are filled up with zeros to whole words:
//   m.qweight [n, k / 8]       codes, those of a word along k
//   m.qzeros  [n, words]       zero points, those of a word along the groups
//   m.scales  [n, words * 8]
class Awq : public PublishedMatrices {
 public:
  Awq(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config, const ConfigReader& method)
      : PublishedMatrices(std::move(checkpoint), config), group_size_(method.optional<int64_t>("group_size", 128)) {
    if (method.optional<int64_t>("bits", 4) != 4) method.reject("bits", "4");
    if (group_size_ != -1 && group_size_ < 1) method.reject("group_size", "at least 1, or -1");
    if (method.optional<std::string>("backend", "") == "llm-awq") method.reject("backend", "autoawq");
    const char* key = method.has("version") ? "version" : "format";
    std::string version = method.optional<std::string>(key, "gemm");
    std::ranges::transform(version, version.begin(), [](unsigned char c) { return std::tolower(c); });
    if (version != "gemm" && version != "gemv") method.reject(key, "gemm or gemv");
    by_rows_ = version == "gemv";
  }

  std::optional<std::string> matrix_of(const std::string& tensor) const override {
    auto module = module_of(tensor, {".qweight", ".qzeros", ".scales"});
    if (!module || find(*module + ".qweight") == nullptr) return {};
    return *module + ".weight";
  }

 protected:
  Size size_of(const std::string& matrix) const override {
    auto [rows, columns] = sizes_of(required(module(matrix) + ".qweight"));
    return by_rows_ ? Size{rows, columns * kShare} : Size{columns * kShare, rows};
  }

  PublishedMatrix open(const std::string& name, int64_t n, int64_t k) const override {
    const std::string prefix = module(name);
    const int64_t size = group_size_ == -1 ? std::max<int64_t>(k, 1) : group_size_;
    PublishedMatrix matrix{n, k, count_parts(k, size)};
    if (by_rows_)
      open_by_rows(prefix, size, matrix);
    else
      open_by_columns(prefix, matrix);
    read_groups(nullptr, size, matrix);
    return matrix;
  }

 private:
  static constexpr int64_t kShare = 8;

  static std::string module(const std::string& matrix) { return *module_of(matrix, {".weight"}); }

  void open_by_columns(const std::string& prefix, PublishedMatrix& matrix) const {
    const int64_t words = count_parts(matrix.n, kShare);
    const auto packed = [&](const char* suffix, int64_t columns) {
      return PackedIntegers{.bytes = bytes_of(required(prefix + suffix), {DType::I32}, {columns, words}),
                            .along = PackedIntegers::Along::rows,
                            .row_stride = 1,
                            .column_stride = words,
                            .places = {0, 4, 1, 5, 2, 6, 3, 7}};
    };
    matrix.codes = packed(".qweight", matrix.k);
    read_zeros(packed(".qzeros", matrix.groups), matrix);
    read_scales(required(prefix + ".scales"), {matrix.groups, matrix.n}, {1, matrix.n}, matrix);
  }

  void open_by_rows(const std::string& prefix, int64_t group_size, PublishedMatrix& matrix) const {
    // Whole words, and as many of them as the reference's kernels read at a time.
    const int64_t multiple = group_size >= 128 ? 1 : group_size >= 64 ? 2 : 4;
    const int64_t words = count_parts(count_parts(matrix.groups, kShare), multiple) * multiple;
    const auto packed = [&](const char* suffix, int64_t columns) {
      return PackedIntegers{.bytes = bytes_of(required(prefix + suffix), {DType::I32}, {matrix.n, columns}),
                            .row_stride = columns,
                            .column_stride = 1};
    };
    matrix.codes = packed(".qweight", count_parts(matrix.k, kShare));
    read_zeros(packed(".qzeros", words), matrix);
    read_scales(required(prefix + ".scales"), {matrix.n, words * kShare}, {words * kShare, 1}, matrix);
  }

  int64_t group_size_;
  bool by_rows_ = false;
};

}  // namespace

std::unique_ptr<CodedMatrices> open_awq(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config,
                                        const ConfigReader& method) {
  return std::make_unique<Awq>(std::move(checkpoint), config, method);
}

}  // namespace nuri
