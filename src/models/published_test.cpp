// Each folder of tests/parity/golden/published holds a tiny checkpoint in a published form of codes, what its matrices
// mean, and what transformers computed from that.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/config_reader.h"
#include "base/test_support.h"
#include "media/golden_pictures.h"
#include "models/registry.h"
#include "ops/packed.h"
#include "weights/stores.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/published";

const std::map<std::string, int> kCodings = {{"numbers", -1},
                                             {"int8_rows", static_cast<int>(kernels::Coding::int8_rows)},
                                             {"int8_groups", static_cast<int>(kernels::Coding::int8_groups)},
                                             {"int4_groups", static_cast<int>(kernels::Coding::int4_groups)},
                                             {"int4_ranges", static_cast<int>(kernels::Coding::int4_ranges)}};

class Published : public testing::TestWithParam<std::string> {
 protected:
  fs::path folder_ = kGolden / GetParam();
  Json matrices_ = read_json_file(folder_ / "matrices.json");

  static std::vector<int64_t> shape_of(const Json& matrix) { return matrix["shape"].get<std::vector<int64_t>>(); }

  // How far the logits of the model in `folder` are from the reference's, as a share of the greatest.
  double error_of(const fs::path& folder, bool weight_only = false) const {
    at::NoGradGuard no_grad;
    OpenedModel opened = open_model(folder, {at::kFloat, at::kCPU, {}, weight_only});
    at::Tensor expected = read_tensors(folder_ / "outputs.safetensors").at("logits");
    at::Tensor found = opened.model->forward(read_tensors(folder_ / "inputs.safetensors")).at("logits");
    return ((expected - found).abs().max() / expected.abs().max()).item<double>();
  }
};

TEST_P(Published, NumbersAreTheReferencesToTheBit) {
  CheckpointStore store(folder_, {}, {at::kFloat, at::kCPU});
  for (const auto& [name, matrix] : matrices_.items()) {
    at::Tensor numbers = store.take(name, shape_of(matrix), {}).contiguous();
    EXPECT_EQ(checksum(numbers.const_data_ptr(), numbers.nbytes()), matrix["crc32"].get<uint32_t>()) << name;
  }
}

TEST_P(Published, CodesMeanTheSameNumbers) {
  CheckpointStore store(folder_, {}, {at::kFloat, at::kCPU});
  CheckpointStore for_a_gpu(folder_, {}, {at::kFloat, at::kCPU, {}, /*weight_only=*/true});
  for (const auto& [name, matrix] : matrices_.items()) {
    const auto shape = shape_of(matrix);
    auto codes = store.codes(name, shape[0], shape[1]);
    if (codes) {
      EXPECT_FALSE(codes->weight_only);
      EXPECT_TRUE(for_a_gpu.codes(name, shape[0], shape[1])->weight_only) << name;
    }
    EXPECT_EQ(codes ? static_cast<int>(codes->coding) : -1, kCodings.at(matrix["coding"].get<std::string>())) << name;
    if (!codes) continue;
    at::Tensor numbers = store.take(name, shape, {});
    at::Tensor found = ops::unpack({codes->coding, shape[0], shape[1], codes->bytes}, numbers);
    // The numbers are rounded to the type of the scales, by 2^-8 at worst (bfloat16); the codes' least ones to float16.
    EXPECT_LE((found - numbers).abs().max().item<float>(), 0x1.4p-8f * numbers.abs().max().item<float>()) << name;
  }
}

TEST_P(Published, LogitsAreTheReferences) {
  // Products with codes round what they multiply to 8 bits.
  const bool coded = std::ranges::any_of(matrices_, [](const Json& matrix) { return matrix["coding"] != "numbers"; });
  EXPECT_LT(error_of(folder_), coded ? 5e-2 : 1e-4);
  EXPECT_LT(error_of(folder_, /*weight_only=*/true), coded ? 5e-2 : 1e-4);  // as on a GPU
}

TEST_P(Published, LogitsOfTheNumbersAreTheReferences) {
  TestFolder plain;
  CheckpointStore store(folder_, {}, {at::kFloat, at::kCPU});
  std::vector<NamedTensor> tensors;
  for (const auto& [name, matrix] : matrices_.items())
    tensors.push_back({name, store.take(name, shape_of(matrix), {}).clone()});
  SafetensorsFile file(folder_ / "model.safetensors");
  for (const TensorInfo& info : file.tensors()) {
    if (!store.has(info.name) || matrices_.contains(info.name)) continue;
    at::Tensor tensor = store.take(info.name, info.shape, {}).clone();
    // A bias of zeros stands behind matrices that have none in the model.
    if (!info.name.ends_with(".bias") || tensor.any().item<bool>()) tensors.push_back({info.name, tensor});
  }
  write_tensors(plain / "model.safetensors", tensors);
  Json config = read_json_file(folder_ / "config.json");
  config.erase("quantization_config");
  plain.write("config.json", config.dump());
  EXPECT_LT(error_of(plain), 1e-4);
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGolden)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, Published, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nuri
