#include "models/registry.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/blip2/model.h"
#include "models/blip2/processor.h"
#include "models/composed/model.h"
#include "models/composed/processor.h"
#include "models/composed/retrieval.h"
#include "models/contrastive/model.h"
#include "models/contrastive/naflex_processor.h"
#include "models/contrastive/processor.h"
#include "models/instructblip/model.h"
#include "models/instructblip/processor.h"
#include "models/internvl/model.h"
#include "models/internvl/processor.h"
#include "models/llama/model.h"
#include "models/llama4/model.h"
#include "models/llama4/processor.h"
#include "models/llava/model.h"
#include "models/llava/next_model.h"
#include "models/llava/next_processor.h"
#include "models/llava/processor.h"
#include "models/mixtral/model.h"
#include "models/mllama/model.h"
#include "models/mllama/processor.h"
#include "models/opt/model.h"
#include "models/qwen2_vl/model.h"
#include "models/qwen2_vl/picture_processor.h"
#include "models/qwen2_vl/processor.h"
#include "models/t5/model.h"
#include "models/vision/model.h"
#include "models/vit/model.h"
#include "weights/model_config.h"

namespace nuri {

const std::vector<Family>& families() {
  static const std::vector<Family> list = {
      {"LlamaForCausalLM", make_llama, decoder_names, make_text_processor},
      {"Qwen2ForCausalLM", make_qwen2, decoder_names, make_text_processor},
      {"MistralForCausalLM", make_mistral, decoder_names, make_text_processor},
      {"MixtralForCausalLM", make_mixtral, mixtral_names, make_text_processor},
      {"Llama4ForCausalLM", make_llama4_text, llama4_text_names, make_text_processor},
      {"Llama4ForConditionalGeneration", make_llama4, llama4_names, make_llama4_processor, make_llama4_pictures},
      {"LlavaForConditionalGeneration", make_llava, llava_names, make_llava_processor},
      {"LlavaNextForConditionalGeneration", make_llava_next, llava_names, make_llava_next_processor,
       make_llava_next_pictures},
      {"InternVLForConditionalGeneration", make_internvl, internvl_names, make_internvl_processor,
       make_internvl_pictures},
      {"InternVLChatModel", make_internvl, internvl_names, make_internvl_processor, make_internvl_pictures},
      {"NVLM_D", make_internvl, internvl_names, make_internvl_processor, make_internvl_pictures},
      {"NuriComposed", make_composed, composed_names, make_composed_processor, make_composed_pictures},
      {"NuriComposedRetrieval", make_composed_retrieval, composed_retrieval_names, nullptr},
      {"MllamaForConditionalGeneration", make_mllama, mllama_names, make_mllama_processor, make_mllama_pictures},
      {"MllamaForCausalLM", make_mllama_text, mllama_text_names, make_text_processor},
      {"Qwen2VLForConditionalGeneration", make_qwen2_vl, qwen2_vl_names, make_qwen2_vl_processor,
       make_qwen2_vl_pictures},
      {"Qwen2_5_VLForConditionalGeneration", make_qwen2_vl, qwen2_vl_names, make_qwen2_vl_processor,
       make_qwen2_vl_pictures},
      {"CLIPModel", make_clip, contrastive_names, nullptr, nullptr, make_clip_pairs},
      {"SiglipModel", make_siglip, contrastive_names, nullptr, nullptr, make_siglip_pairs},
      {"MetaClip2Model", make_metaclip2, contrastive_names, nullptr, nullptr, make_clip_pairs},
      {"Siglip2Model", make_siglip2, contrastive_names, nullptr, make_naflex_processor, make_siglip2_pairs},
      {"Siglip2VisionModel", make_siglip2_vision, vision_names, nullptr, make_naflex_processor},
      {"CLIPVisionModel", make_vision, vision_names, nullptr},
      {"SiglipVisionModel", make_vision, vision_names, nullptr},
      {"ViTModel", make_vit, vit_names, nullptr},
      {"ViTForImageClassification", make_vit, vit_names, nullptr},
      {"Dinov2Model", make_vit, vit_names, nullptr},
      {"Dinov2ForImageClassification", make_vit, vit_names, nullptr},
      {"OPTForCausalLM", make_opt, opt_names, make_text_processor},
      {"T5ForConditionalGeneration", make_t5, t5_names, make_text_processor},
      {"Blip2ForConditionalGeneration", make_blip2, blip2_names, make_blip2_processor},
      {"Blip2ForImageTextRetrieval", make_blip2_retrieval, blip2_retrieval_names, make_blip2_processor},
      {"InstructBlipForConditionalGeneration", make_instructblip, instructblip_names, make_instructblip_processor},
  };
  return list;
}

const Family& family_of(const ConfigReader& config) {
  static const std::map<std::string, std::string> by_type = {{"llama", "LlamaForCausalLM"},
                                                             {"qwen2", "Qwen2ForCausalLM"},
                                                             {"mistral", "MistralForCausalLM"},
                                                             {"mixtral", "MixtralForCausalLM"},
                                                             {"llama4_text", "Llama4ForCausalLM"},
                                                             {"llama4", "Llama4ForConditionalGeneration"},
                                                             {"llava", "LlavaForConditionalGeneration"},
                                                             {"llava_next", "LlavaNextForConditionalGeneration"},
                                                             {"internvl", "InternVLForConditionalGeneration"},
                                                             {"internvl_chat", "InternVLChatModel"},
                                                             {"NVLM_D", "NVLM_D"},
                                                             {"nuri_composed", "NuriComposed"},
                                                             {"nuri_composed_retrieval", "NuriComposedRetrieval"},
                                                             {"mllama", "MllamaForConditionalGeneration"},
                                                             {"mllama_text_model", "MllamaForCausalLM"},
                                                             {"qwen2_vl", "Qwen2VLForConditionalGeneration"},
                                                             {"qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration"},
                                                             {"clip", "CLIPModel"},
                                                             {"siglip", "SiglipModel"},
                                                             {"clip_vision_model", "CLIPVisionModel"},
                                                             {"siglip_vision_model", "SiglipVisionModel"},
                                                             {"metaclip_2", "MetaClip2Model"},
                                                             {"siglip2", "Siglip2Model"},
                                                             {"siglip2_vision_model", "Siglip2VisionModel"},
                                                             {"vit", "ViTModel"},
                                                             {"dinov2", "Dinov2Model"},
                                                             {"opt", "OPTForCausalLM"},
                                                             {"t5", "T5ForConditionalGeneration"},
                                                             {"blip-2", "Blip2ForConditionalGeneration"},
                                                             {"instructblip", "InstructBlipForConditionalGeneration"}};
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
  return model_config(folder_or_file);
}

std::unique_ptr<Processor> open_processor(const std::filesystem::path& folder) {
  ConfigReader config = read_config(folder);
  const Family& family = family_of(config);
  if (family.processor == nullptr)
    throw Error(ErrorKind::unsupported, fmt::format("{}: found {}, expected a model that continues a text",
                                                    config.file(), family.architecture));
  return family.processor(folder, config);
}

std::unique_ptr<PictureProcessor> open_picture_processor(const std::filesystem::path& folder) {
  const Family& family = family_of(read_config(folder));
  if (family.pictures != nullptr) return family.pictures(folder);
  return std::make_unique<ImageProcessor>(ImageProcessor::from_folder(folder));
}

std::unique_ptr<PairProcessor> open_pair_processor(const std::filesystem::path& folder) {
  ConfigReader config = read_config(folder);
  const Family& family = family_of(config);
  if (family.pairs == nullptr)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found {}, expected a model that puts texts and pictures into one "
                            "space",
                            config.file(), family.architecture));
  return family.pairs(folder, config);
}

OpenedModel open_model(const std::filesystem::path& folder, const LoadOptions& options) {
  ConfigReader config = read_config(folder);
  const Family& family = family_of(config);
  auto store = open_store(folder, family.names(config), options);
  store->expect_room();
  WeightView weights(store);
  auto model = family.make(config, weights);
  store->expect_all_taken();
  model->tend_by(store->large_pages());
  return {std::move(model), weights.ledger()};
}

}  // namespace nuri
