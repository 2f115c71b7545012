#include "tasks/pictures.h"

#include <algorithm>

#include "base/file.h"
#include "models/parts/inputs.h"
#include "models/registry.h"

namespace nuri {

std::vector<Image> read_pictures(const std::vector<std::string>& files, const PictureLimits& limits) {
  std::vector<Image> pictures;
  ImageLimits bounds;
  bounds.max_pixels = limits.max_pixels;
  for (const auto& file : files) pictures.push_back(read_image(file, bounds));
  return pictures;
}

NamedTensors picture_of_size(const std::filesystem::path& folder, const MediaEncoder& model, int64_t width,
                             int64_t height) {
  if (!is_there(folder / "processor_config.json") && !is_there(folder / "preprocessor_config.json"))
    return model.picture_inputs(width, height);
  Image grey(width, height, 3);
  std::fill(grey.pixels.begin(), grey.pixels.end(), uint8_t{128});
  return to_tensors(open_picture_processor(folder)->prepare({&grey, 1}).arrays);
}

}  // namespace nuri
