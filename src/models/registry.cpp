#include "models/registry.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/contrastive/model.h"
#include "models/llama/model.h"
#include "models/llava/model.h"
#include "models/llava/processor.h"
#include "models/vision/model.h"

namespace nuri {

const std::vector<Family>& families() {
  static const std::vector<Family> list = {
      {"LlamaForCausalLM", make_llama, decoder_names, make_text_processor},
      {"Qwen2ForCausalLM", make_qwen2, decoder_names, make_text_processor},
      {"LlavaForConditionalGeneration", make_llava, llava_names, make_llava_processor},
      {"CLIPModel", make_clip, contrastive_names, nullptr},
      {"SiglipModel", make_siglip, contrastive_names, nullptr},
      {"CLIPVisionModel", make_vision, vision_names, nullptr},
      {"SiglipVisionModel", make_vision, vision_names, nullptr},
  };
  return list;
}

const Family& family_of(const ConfigReader& config) {
  static const std::map<std::string, std::string> by_type = {{"llama", "LlamaForCausalLM"},
                                                             {"qwen2", "Qwen2ForCausalLM"},
                                                             {"llava", "LlavaForConditionalGeneration"},
                                                             {"clip", "CLIPModel"},
                                                             {"siglip", "SiglipModel"},
                                                             {"clip_vision_model", "CLIPVisionModel"},
                                                             {"siglip_vision_model", "SiglipVisionModel"}};
  std::string name;
  auto listed = config.maybe<std::vector<std::string>>("architectures");
  auto type = config.maybe<std::string>("model_type");
  if (listed && !listed->empty()) {
    name = listed->front();
  } else if (type && by_type.contains(*type)) {
    name = by_type.at(*type);
  }
  std::string supported;
  for (const auto& family : families()) {
    if (family.architecture == name) return family;
    supported += (supported.empty() ? "" : ", ") + family.architecture;
  }
  const char* key = listed ? "architectures" : "model_type";
  config.reject(key, "one of " + supported);
}

ConfigReader read_config(const std::filesystem::path& folder_or_file) {
  if (!std::filesystem::exists(folder_or_file))
    throw Error(ErrorKind::usage, fmt::format("{}: found no such folder, expected a model folder with config.json",
                                              folder_or_file.string()));
  auto file = std::filesystem::is_directory(folder_or_file) ? folder_or_file / "config.json" : folder_or_file;
  return ConfigReader(read_json_file(file), file.string());
}

std::unique_ptr<Processor> open_processor(const std::filesystem::path& folder) {
  ConfigReader config = read_config(folder);
  const Family& family = family_of(config);
  if (family.processor == nullptr)
    throw Error(ErrorKind::unsupported, fmt::format("{}: found {}, expected a model that continues a text",
                                                    config.file(), family.architecture));
  return family.processor(folder, config);
}

OpenedModel open_model(const std::filesystem::path& folder, const LoadOptions& options) {
  ConfigReader config = read_config(folder);
  const Family& family = family_of(config);
  auto store = std::make_shared<CheckpointStore>(folder, family.names(config), options);
  store->expect_room();
  WeightView weights(store);
  auto model = family.make(config, weights);
  store->expect_all_taken();
  return {std::move(model), weights.ledger()};
}

}  // namespace nuri
