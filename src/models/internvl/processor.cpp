#include "models/internvl/processor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/internvl/config.h"
#include "models/parts/processors/grid_image_processor.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const std::string kThumbnailTag = "<tile_global_thumbnail>";

// A token that tokenizer_config.json names by `key`: at its top level, or where transformers 5 puts such names.
std::string named_token(const fs::path& folder, const char* key, const char* usual) {
  fs::path path = folder / "tokenizer_config.json";
  if (!fs::exists(path)) return usual;
  ConfigReader reader(read_json_file(path), path.string());
  if (reader.has(key)) return reader.required<std::string>(key);
  for (const char* place : {"extra_special_tokens", "model_specific_special_tokens"})
    if (reader.has(place) && reader.required<Json>(place).is_object())
      if (auto token = reader.child(place).maybe<std::string>(key)) return *token;
  return usual;
}

// What the published code of InternVLChatModel does to a tile: transparency is dropped, and of its processor file,
// which is written for CLIP, nothing is used.
ImageProcessorConfig chat_tile_config(int64_t side) {
  ImageProcessorConfig config{};
  config.type = "InternVLChatModel";
  config.cuts_tiles = config.do_resize = config.do_rescale = config.do_normalize = true;
  config.size.height = config.size.width = side;
  config.resample = Resample::bicubic;
  config.rescale_factor = 1.0 / 255;
  config.mean = {0.485, 0.456, 0.406};
  config.std = {0.229, 0.224, 0.225};
  return config;
}

// The form of OpenGVLab says in the model's configuration how pictures are cut.
GridImageProcessor read_pictures(const fs::path& folder, const InternvlConfig& config) {
  if (config.chat_form) return {chat_tile_config(config.vision.image_size), config.tiles};
  return read_grid_image_processor(read_processor_file(folder));
}

class InternvlProcessor : public Processor {
 public:
  InternvlProcessor(const fs::path& folder, const InternvlConfig& config)
      : Processor(Tokenizer::from_folder(folder)),
        images_(read_pictures(folder, config)),
        token_(tokenizer().token_of(static_cast<int32_t>(config.image_token))),
        placeholder_(config.chat_form ? "<image>" : token_),
        start_(config.tags ? "<Image>" : named_token(folder, "start_image_token", "<img>")),
        end_(config.tags ? "</Image>" : named_token(folder, "end_image_token", "</img>")),
        tags_(config.tags),
        tokens_per_tile_(config.tokens_per_tile()) {
    if (config.image_token < 0 || token_.empty())
      throw Error(ErrorKind::format,
                  fmt::format("{}: found no token {} in tokenizer.json, expected the image token there",
                              folder.string(), config.image_token));
  }

  std::string placeholder() const override { return placeholder_; }
  const PictureProcessor& pictures() const override { return images_; }
  Place::Unit place_unit() const override { return Place::Unit::thousandths; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  std::string text_of_picture(const PreparedPictures& pictures, size_t index) const override {
    const PictureGeometry& picture = pictures.geometry[index];
    int64_t tiles = images_.tiles_of(picture.source_width, picture.source_height);
    if (!tags_) return start_ + repeated(token_, tokens_per_tile_ * tiles) + end_;
    std::string text = start_;
    for (int64_t tile = 1; tile <= tiles; ++tile)
      text += (tile < tiles ? fmt::format("<tile_{}>", tile) : kThumbnailTag) + repeated(token_, tokens_per_tile_);
    return text + end_;
  }

 private:
  GridImageProcessor images_;
  std::string token_, placeholder_, start_, end_;
  bool tags_;
  int64_t tokens_per_tile_;
};

}  // namespace

std::unique_ptr<Processor> make_internvl_processor(const fs::path& folder, const ConfigReader& config) {
  return std::make_unique<InternvlProcessor>(folder, parse_internvl_config(config));
}

std::unique_ptr<PictureProcessor> make_internvl_pictures(const fs::path& folder) {
  fs::path path = folder / "config.json";
  ConfigReader config(read_json_file(path), path.string());
  return std::make_unique<GridImageProcessor>(read_pictures(folder, parse_internvl_config(config)));
}

}  // namespace nuri
