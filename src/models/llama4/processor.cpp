#include "models/llama4/processor.h"

#include <cmath>

#include "base/error.h"
#include "models/llama4/tile_processor.h"

namespace nuri {
namespace {

// What processor_config.json says beside the image processor.
struct TokenRule {
  std::string placeholder = "<|image|>";
  int64_t patch_size = 14;
  int64_t patches_a_token = 4;  // 1 / pixel_shuffle_ratio^2
};

TokenRule read_token_rule(const std::filesystem::path& folder) {
  auto file = folder / "processor_config.json";
  if (!std::filesystem::exists(file)) return {};
  ConfigReader reader(read_json_file(file), file.string());
  TokenRule rule;
  rule.placeholder = reader.optional("image_token", rule.placeholder);
  rule.patch_size = reader.optional("patch_size", rule.patch_size);
  double ratio = reader.optional("pixel_shuffle_ratio", 0.5);
  if (rule.placeholder.empty()) reader.reject("image_token", "a token");
  if (rule.patch_size < 1 || rule.patch_size > 10000) reader.reject("patch_size", "a size from 1 to 10000");
  if (!(ratio > 0.001 && ratio <= 1)) reader.reject("pixel_shuffle_ratio", "a number above 0.001, at most 1");
  rule.patches_a_token = static_cast<int64_t>(std::nearbyint(1 / (ratio * ratio)));
  return rule;
}

class Llama4Processor : public Processor {
 public:
  explicit Llama4Processor(const std::filesystem::path& folder)
      : Processor(Tokenizer::from_folder(folder)),
        tiles_(TileProcessor::from_folder(folder)),
        rule_(read_token_rule(folder)) {
    int64_t patches = tiles_.side() / rule_.patch_size;
    tokens_per_tile_ = patches * patches / rule_.patches_a_token;
  }

  std::string placeholder() const override { return rule_.placeholder; }
  const PictureProcessor& pictures() const override { return tiles_; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  std::string text_of_picture(const PreparedPictures& pictures, size_t index) const override {
    const PictureGeometry& canvas = pictures.geometry[index];
    int64_t rows = canvas.output_height / tiles_.side(), columns = canvas.output_width / tiles_.side();
    const std::string tile = repeated("<|patch|>", tokens_per_tile_);
    std::string text = "<|image_start|>";
    for (int64_t row = 0; row < rows && rows * columns > 1; ++row) {
      for (int64_t column = 0; column < columns; ++column) text += (column > 0 ? "<|tile_x_separator|>" : "") + tile;
      text += "<|tile_y_separator|>";
    }
    return text + "<|image|>" + tile + "<|image_end|>";
  }
  // The model does not read the ratios: the tokens between the tiles tell it.
  void complete(PreparedPrompt& prompt) const override {
    std::erase_if(prompt.pictures.arrays, [](const NamedArray& array) { return array.name == "aspect_ratios"; });
  }

 private:
  TileProcessor tiles_;
  TokenRule rule_;
  int64_t tokens_per_tile_;
};

}  // namespace

std::unique_ptr<Processor> make_llama4_processor(const std::filesystem::path& folder, const ConfigReader&) {
  return std::make_unique<Llama4Processor>(folder);
}

std::unique_ptr<PictureProcessor> make_llama4_pictures(const std::filesystem::path& folder) {
  return std::make_unique<TileProcessor>(TileProcessor::from_folder(folder));
}

}  // namespace nuri
