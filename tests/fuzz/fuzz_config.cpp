#include <algorithm>

#include "base/config_reader.h"
#include "fuzz.h"
#include "models/llava/config.h"
#include "models/mllama/config.h"
#include "models/parts/processors/image_processor.h"

namespace nuri {
namespace {

// Reads what a family's configuration reads, in each of the types.
void read_all(const ConfigReader& config) {
  for (const char* key : {"model_type", "hidden_size", "rope_theta", "tie_word_embeddings", "architectures"}) {
    config.has(key);
    fuzz::parse_or_error([&] { config.optional<int64_t>(key, 1); });
    fuzz::parse_or_error([&] { config.optional<double>(key, 1.0); });
    fuzz::parse_or_error([&] { config.optional<bool>(key, false); });
    fuzz::parse_or_error([&] { config.required<std::string>(key); });
    fuzz::parse_or_error([&] { config.maybe<std::vector<int64_t>>(key); });
    fuzz::parse_or_error([&] { config.maybe<std::vector<std::string>>(key); });
    fuzz::parse_or_error([&] { config.reject(key, "another value"); });
  }
}

// Every family's configuration; what one refuses, another may accept.
void read_families(const ConfigReader& config) {
  fuzz::parse_or_error([&] { parse_llama_config(config); });
  fuzz::parse_or_error([&] { parse_qwen2_config(config); });
  fuzz::parse_or_error([&] { parse_clip_text_config(config); });
  fuzz::parse_or_error([&] { parse_siglip_text_config(config); });
  fuzz::parse_or_error([&] { parse_vision_config(config, "clip_vision_model"); });
  fuzz::parse_or_error([&] { parse_llava_config(config); });
  fuzz::parse_or_error([&] { parse_mllama_config(config); });
  fuzz::parse_or_error([&] { parse_mllama_text_config(config); });
}

// A picture through the processor that the file describes, where its sizes are such as take no time.
void preprocess(const ConfigReader& config) {
  ImageProcessor processor(read_image_processor_config(config, "CLIPImageProcessor"));
  Image image(13, 7, 3);
  constexpr int64_t kSmall = 1 << 12;
  auto geometry = processor.geometry(image.width, image.height);
  for (int64_t side : {geometry.resized_width, geometry.resized_height, geometry.output_width, geometry.output_height})
    if (side > kSmall) return;
  if (processor.config().pad_size && std::ranges::max(*processor.config().pad_size) > kSmall) return;
  PixelValues pixels = processor({&image, 1});
  int64_t count = 1;
  for (int64_t size : pixels.shape) count *= size;
  if (count != static_cast<int64_t>(pixels.values.size())) fuzz::fail("found pixel values that fit no shape");
}

}  // namespace
}  // namespace nuri

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  return fuzz::parse_or_error([&] {
    ConfigReader config(parse_json({reinterpret_cast<const char*>(data), size}, "config.json"), "config.json");
    read_all(config);
    read_all(config.child_or_empty("text_config"));
    fuzz::parse_or_error([&] { read_all(config.child("rope_scaling")); });
    read_families(config);
    fuzz::parse_or_error([&] { preprocess(config); });
    config.refuse_unknown_keys();
  });
}
