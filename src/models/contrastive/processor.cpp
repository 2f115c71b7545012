#include "models/contrastive/processor.h"

#include "models/contrastive/naflex_processor.h"
#include "models/parts/vision/vision_config.h"

namespace nuri {
namespace {

std::unique_ptr<PictureProcessor> square_pictures(const std::filesystem::path& folder) {
  return std::make_unique<ImageProcessor>(ImageProcessor::from_folder(folder));
}

std::unique_ptr<PairProcessor> siglip_pairs(const std::filesystem::path& folder, const ConfigReader& config,
                                            std::unique_ptr<PictureProcessor> pictures) {
  int64_t context = parse_siglip_text_config(config.child_or_empty("text_config")).context;
  return std::make_unique<PairProcessor>(folder, PairProcessor::TextRule{context, /*pads_to_context=*/true},
                                         std::move(pictures));
}

}  // namespace

std::unique_ptr<PairProcessor> make_clip_pairs(const std::filesystem::path& folder, const ConfigReader& config) {
  int64_t context = parse_clip_text_config(config.child_or_empty("text_config")).context;
  return std::make_unique<PairProcessor>(folder, PairProcessor::TextRule{context, /*pads_to_context=*/false},
                                         square_pictures(folder));
}

std::unique_ptr<PairProcessor> make_siglip_pairs(const std::filesystem::path& folder, const ConfigReader& config) {
  return siglip_pairs(folder, config, square_pictures(folder));
}

std::unique_ptr<PairProcessor> make_siglip2_pairs(const std::filesystem::path& folder, const ConfigReader& config) {
  return siglip_pairs(folder, config, make_naflex_processor(folder));
}

}  // namespace nuri
