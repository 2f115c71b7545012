// Each folder of tests/parity/golden/models holds a tiny checkpoint, inputs, and what transformers computed.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "models/test_device.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

class Parity : public testing::TestWithParam<std::string> {};

TEST_P(Parity, OutputsEqualTheReference) {
  at::NoGradGuard no_grad;
  fs::path folder = kGolden / GetParam();
  OpenedModel opened = open_model(folder, {at::kFloat, test_device()});
  NamedTensors inputs = read_tensors(folder / "inputs.safetensors");
  NamedTensors found = opened.model->forward(inputs);
  for (auto& [name, expected] : read_tensors(folder / "outputs.safetensors")) {
    if (name == "sequences") continue;
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_LT((expected - found[name].cpu()).abs().max().item<double>(), 1e-4 * expected.abs().max().item<double>())
        << name;
  }
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGolden)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, Parity, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nuri
