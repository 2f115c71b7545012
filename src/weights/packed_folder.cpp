#include "weights/packed_folder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <map>

#include "base/error.h"
#include "kernels/quantized.h"

namespace nuri {
namespace {

using kernels::Coding;

constexpr int64_t kVersion = 1;
constexpr int64_t kMostNumbers = int64_t{1} << 50;  // so that no size below overflows
constexpr size_t kAlignment = 64;

constexpr std::pair<const char*, at::ScalarType> kTypes[] = {
    {"float32", at::kFloat}, {"bfloat16", at::kBFloat16}, {"float16", at::kHalf}};
constexpr Coding kCodings[] = {Coding::int8_rows,   Coding::int8_rotated, Coding::int8_groups, Coding::int4_groups,
                               Coding::int4_ranges, Coding::int4_steps,   Coding::bfloat12};

std::string type_name(at::ScalarType type) {
  for (const auto& [name, known] : kTypes)
    if (known == type) return name;
  throw Error(ErrorKind::internal, "a packed matrix of this type cannot be written");
}

at::ScalarType type_of(const ConfigReader& group) {
  auto name = group.required<std::string>("dtype");
  for (const auto& [known, type] : kTypes)
    if (name == known) return type;
  group.reject("dtype", "float32, bfloat16 or float16");
}

Coding coding_of(const ConfigReader& group) {
  auto name = group.required<std::string>("coding");
  for (Coding coding : kCodings)
    if (name == kernels::coding_name(coding)) return coding;
  group.reject("coding", "int8_rows, int8_rotated, int8_groups, int4_groups, int4_ranges, int4_steps or bfloat12");
}

class PackedFolder : public CodedMatrices {
 public:
  PackedFolder(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config)
      : checkpoint_(std::move(checkpoint)) {
    if (config.required<int64_t>("version") != kVersion)
      config.reject("version", fmt::format("{}, the layout that is known here", kVersion));
    auto groups = config.required<Json>("matrices");
    if (!groups.is_array()) config.reject("matrices", "a list of groups of matrices");
    for (size_t i = 0; i < groups.size(); ++i) {
      ConfigReader group(groups[i], fmt::format("{}[{}]", config.where("matrices"), i));
      add_group(group, coding_of(group), type_of(group));
    }
  }

  bool has_canonical_names() const override { return true; }

  std::optional<std::string> matrix_of(const std::string& tensor) const override {
    return matrices_.contains(tensor) ? std::optional(tensor) : std::nullopt;
  }

  std::optional<WeightStore::Codes> read(const std::string& matrix, int64_t n, int64_t k) const override {
    const Entry& entry = matrices_.at(matrix);
    const PackedMatrix& found = entry.matrix;
    if (found.n != n || found.k != k)
      throw Error(ErrorKind::format, fmt::format("{}: matrix {}: found shape [{}, {}], expected [{}, {}]",
                                                 checkpoint_->path().string(), matrix, found.n, found.k, n, k));
    auto bytes = checkpoint_->data(*entry.tensor);
    auto size = static_cast<int64_t>(bytes.size());
    at::Tensor codes;
    if (reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment == 0) {
      codes = at::from_blob(
          bytes.data(), {size}, [keep = checkpoint_](void*) {}, at::TensorOptions(at::kByte));
    } else {  // of another writer
      codes = at::empty({size}, at::kByte);
      std::memcpy(codes.mutable_data_ptr(), bytes.data(), bytes.size());
    }
    return WeightStore::Codes{found.coding, codes, found.dtype};
  }

 private:
  struct Entry {
    PackedMatrix matrix;
    const TensorInfo* tensor;
  };

  void add_group(const ConfigReader& group, Coding coding, at::ScalarType dtype) {
    ConfigReader shapes = group.child("shapes");
    for (const auto& [name, shape] : shapes.json().items()) {
      auto sizes = shapes.required<std::vector<int64_t>>(name);
      int64_t numbers = 0;
      if (sizes.size() != 2 || sizes[0] < 1 || sizes[1] < 1 || __builtin_mul_overflow(sizes[0], sizes[1], &numbers) ||
          numbers > kMostNumbers)
        shapes.reject(name, "two sizes of a matrix");
      add({name, coding, dtype, sizes[0], sizes[1]}, shapes);
    }
  }

  void add(PackedMatrix matrix, const ConfigReader& shapes) {
    const TensorInfo* tensor = checkpoint_->find(matrix.name);
    const int64_t bytes = kernels::quantized_bytes(matrix.coding, matrix.n, matrix.k);
    if (tensor == nullptr) shapes.reject(matrix.name, "a matrix that the weights have");
    if (tensor->dtype != DType::U8 || tensor->size != static_cast<size_t>(bytes))
      throw Error(
          ErrorKind::format,
          fmt::format("{}: tensor {}: found {} of shape {}, expected U8 of {} bytes, the codes {} of [{}, {}]",
                      checkpoint_->file_of(*tensor).string(), shown_text(matrix.name), name_of(tensor->dtype),
                      shape_text(tensor->shape), bytes, kernels::coding_name(matrix.coding), matrix.n, matrix.k));
    std::string name = matrix.name;
    if (!matrices_.emplace(name, Entry{std::move(matrix), tensor}).second)
      shapes.reject(name, "each matrix once in all groups");
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::map<std::string, Entry> matrices_;
};

}  // namespace

Json packed_config(const std::vector<PackedMatrix>& matrices) {
  std::map<std::pair<Coding, at::ScalarType>, Json> groups;
  for (const PackedMatrix& matrix : matrices) {
    Json& group = groups[{matrix.coding, matrix.dtype}];
    if (group.is_null()) group = {{"coding", kernels::coding_name(matrix.coding)}, {"dtype", type_name(matrix.dtype)}};
    group["shapes"][matrix.name] = {matrix.n, matrix.k};
  }
  Json list = Json::array();
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  return {{"quant_method", "nuri"}, {"version", kVersion}, {"matrices", std::move(list)}};
}

std::unique_ptr<CodedMatrices> open_packed_folder(std::shared_ptr<const Checkpoint> checkpoint,
                                                  const ConfigReader& quantization) {
  return std::make_unique<PackedFolder>(std::move(checkpoint), quantization);
}

}  // namespace nuri
