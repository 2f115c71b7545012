// Each folder of tests/parity/golden/processors holds the files of a processor, pictures, and what transformers made of
// texts with them (tests/parity/processors.py). NURI_PROCESSORS names another such folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "media/golden_pictures.h"
#include "models/registry.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

fs::path golden_processors() {
  const char* other = std::getenv("NURI_PROCESSORS");
  return other ? fs::path(other) : fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/processors";
}

class ProcessorParity : public testing::TestWithParam<std::string> {};

// In the full comparison the reference's values lie beside the cases.
void expect_values(const fs::path& file, const std::vector<float>& found) {
  std::string bytes = read_file(file);
  ASSERT_EQ(bytes.size(), found.size() * sizeof(float));
  const auto* expected = reinterpret_cast<const float*>(bytes.data());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_LE(std::fabs(found[i] - expected[i]), 1e-6) << i;
}

void expect_tensor(const NamedArray& found, const Json& expected, const fs::path& folder) {
  EXPECT_EQ(found.shape, expected["shape"].get<std::vector<int64_t>>()) << found.name;
  uint32_t sum = std::visit([](const auto& v) { return checksum(v.data(), v.size() * sizeof(v[0])); }, found.values);
  if (expected.contains("values"))
    expect_values(folder / expected["values"].get<std::string>(), std::get<std::vector<float>>(found.values));
  EXPECT_EQ(sum, expected["crc"].get<uint32_t>()) << found.name;
}

TEST_P(ProcessorParity, IdsAndTensorsEqualTheReference) {
  fs::path folder = golden_processors() / GetParam();
  auto processor = open_processor(folder);
  for (const Json& expected : read_json_file(folder / "cases.json")) {
    SCOPED_TRACE(expected["text"].dump() + expected["pictures"].dump());
    std::vector<Image> pictures;
    for (const auto& file : expected["pictures"]) pictures.push_back(read_image(folder / file.get<std::string>()));
    PreparedPrompt prompt = (*processor)(expected["text"].get<std::string>(), pictures, true);
    EXPECT_EQ(prompt.ids, expected["ids"].get<std::vector<int32_t>>());
    ASSERT_EQ(prompt.pictures.arrays.size(), expected["tensors"].size());
    for (const NamedArray& array : prompt.pictures.arrays)
      expect_tensor(array, expected["tensors"][array.name], folder);
    // Without a text they are the same.
    if (!pictures.empty()) {
      PreparedPictures alone = open_picture_processor(folder)->prepare(pictures);
      EXPECT_EQ(alone.arrays[0].shape, prompt.pictures.arrays[0].shape);
    }
  }
}

std::vector<std::string> processor_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(golden_processors())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, ProcessorParity, testing::ValuesIn(processor_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nuri
