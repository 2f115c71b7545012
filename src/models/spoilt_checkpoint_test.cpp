// Configurations in which one value is spoilt, of every golden checkpoint: each is refused in one line, or works.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/test_support.h"
#include "models/registry.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

// Every value in the document that is no object, and every object but the whole.
void collect(const Json& node, const Json::json_pointer& at, std::vector<Json::json_pointer>& places) {
  for (const auto& [key, value] : node.items()) {
    places.push_back(at / key);
    if (value.is_object()) collect(value, at / key, places);
  }
}

struct Damage {
  const char* name;
  Json value;  // discarded: the key is taken away
};

const std::vector<Damage>& damages() {
  static const std::vector<Damage> list = {{"removed", Json(Json::value_t::discarded)},
                                           {"null", nullptr},
                                           {"zero", 0},
                                           {"one", 1},
                                           {"negative", -3},
                                           {"odd", 7},
                                           {"large", int64_t{1} << 31},
                                           {"huge", INT64_MAX},
                                           {"beyond", 1e300},
                                           {"tiny", 1e-300},
                                           {"half", 0.5},
                                           {"text", "NaN"},
                                           {"truth", true},
                                           {"empty list", Json::array()},
                                           {"list", {1, "two", nullptr}},
                                           {"numbers", {-1, 0, INT64_MAX, 3, 1 << 20}},
                                           {"empty object", Json::object()},
                                           {"object", {{"model_type", 3}, {"hidden_size", {{"a", "b"}}}}}};
  return list;
}

Json spoilt(Json config, const Json::json_pointer& place, const Json& value) {
  if (!value.is_discarded()) {
    config[place] = value;
  } else {
    config[place.parent_pointer()].erase(place.back());
  }
  return config;
}

// "" when the error is as the contract wants it.
std::string fault(const Error& error, const fs::path& folder, bool names_file) {
  std::string text = error.what();
  if (error.kind() == ErrorKind::internal) return "of kind internal: " + text;
  if (text.find('\n') != text.npos || text.size() > 1000) return "no short line: " + text;
  if (names_file && text.find(folder.string()) == text.npos) return "names no file: " + text;
  if (text.find("found") == text.npos ||
      (names_file && text.find("expected") == text.npos && text.find("does not have") == text.npos))
    return "tells not what was found and expected: " + text;
  return "";
}

// What goes wrong with the checkpoint in `folder`, in another way than by a proper Error: "" for nothing.
std::string run(const fs::path& folder, const NamedTensors& inputs) {
  std::string doing = "loading";
  try {
    c10::InferenceMode inference;
    OpenedModel opened = open_model(folder, {at::kFloat, at::kCPU});
    doing = "forward";
    opened.model->forward(inputs);
    return "";
  } catch (const Error& error) {
    std::string found = fault(error, folder, doing == "loading");
    return found.empty() ? "" : doing + ": " + found;
  } catch (const std::exception& error) {
    return doing + ": " + std::string(error.what()).substr(0, 300);
  }
}

class HostileConfig : public testing::TestWithParam<std::string> {};

TEST_P(HostileConfig, IsRefusedInOneLineOrWorks) {
  // Of all pairs of a key and a damage so many are tried; with NURI_ALL_DAMAGES set, all.
  constexpr uint64_t kTried = 60;
  fs::path golden = kGolden / GetParam();
  TestFolder folder;
  for (const auto& entry : fs::directory_iterator(golden))
    if (entry.path().filename() != "config.json") fs::create_symlink(entry.path(), folder / entry.path().filename());
  Json config = read_json_file(golden / "config.json");
  NamedTensors inputs = read_tensors(golden / "inputs.safetensors");
  std::vector<Json::json_pointer> places;
  collect(config, Json::json_pointer(), places);
  uint64_t all = places.size() * damages().size();
  CounterRandom random(all);
  for (uint64_t pair = 0; pair < all; ++pair) {
    if (std::getenv("NURI_ALL_DAMAGES") == nullptr && random.below(all) >= kTried) continue;
    const Damage& damage = damages()[pair % damages().size()];
    const auto& place = places[pair / damages().size()];
    folder.write("config.json", spoilt(config, place, damage.value).dump());
    EXPECT_EQ(run(folder, inputs), "") << place.to_string() << ": " << damage.name;
  }
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGolden)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, HostileConfig, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nuri
