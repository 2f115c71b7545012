#include "models/composed/processor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/composed/config.h"
#include "models/parts/processors/grid_image_processor.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

// What happens to a picture, or to each of its tiles, is a processor file's; how it is cut, the composition's.
std::unique_ptr<PictureProcessor> read_pictures(const fs::path& folder, const ComposedConfig& config) {
  if (!config.tiles.cut) return std::make_unique<ImageProcessor>(ImageProcessor::from_folder(folder));
  ConfigReader reader = read_processor_file(folder);
  ImageProcessorConfig tile = read_image_processor_config(reader);
  int64_t side = config.vision.image_size;
  if (tile.size.height != side || tile.size.width != side)
    reader.reject("size", fmt::format("height and width {}, the encoder's image_size", side));
  tile.do_center_crop = tile.pad_batch = tile.pad_to_square = false;  // tiles have their size
  return std::make_unique<GridImageProcessor>(std::move(tile), config.tiles, reader.assumed());
}

class ComposedProcessor : public Processor {
 public:
  ComposedProcessor(const fs::path& folder, const ComposedConfig& config)
      : Processor(Tokenizer::from_folder(folder)),
        config_(config),
        images_(read_pictures(folder, config)),
        token_(token_of(folder, config.image_token, "image_token_id")) {
    for (size_t tile = 0; tile < config.tile_tags.size(); ++tile) {
      tags_.push_back(token_of(folder, config.tile_tags[tile], "resolution.tile_tag_ids"));
      expect_tag(folder, tags_.back(), fmt::format("<tile_{}>", tile + 1), config.tile_tags[tile]);
    }
    if (config.thumbnail_tag < 0) return;
    thumbnail_ = token_of(folder, config.thumbnail_tag, "resolution.thumbnail_tag_id");
    expect_tag(folder, thumbnail_, "<tile_global_thumbnail>", config.thumbnail_tag);
  }

  std::string placeholder() const override { return token_; }
  const PictureProcessor& pictures() const override { return *images_; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  std::string text_of_picture(const PreparedPictures& pictures, size_t index) const override {
    if (!config_.tiles.cut) return config_.fusion == ComposedConfig::Fusion::unified ? rows(true) : token_;
    const PictureGeometry& picture = pictures.geometry[index];
    int64_t side = config_.vision.image_size;
    int64_t tiles =
        config_.tiles.tiles_in(config_.tiles.grid_of(picture.source_width, picture.source_height, side, side));
    std::string text;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      bool whole = config_.tiles.thumbnail && tile + 1 == tiles;
      if (config_.tagged()) text += whole ? thumbnail_ : tags_[static_cast<size_t>(tile)];
      text += rows(whole);
    }
    return text;
  }

 private:
  std::string token_of(const fs::path& folder, int64_t id, const char* key) const {
    std::string token = id <= INT32_MAX ? tokenizer().token_of(static_cast<int32_t>(id)) : "";
    if (token.empty())
      throw Error(ErrorKind::format,
                  fmt::format("{}: tokenizer.json: found no token {}, expected that of {}", folder.string(), id, key));
    return token;
  }

  static void expect_tag(const fs::path& folder, const std::string& found, const std::string& tag, int64_t id) {
    if (found != tag)
      throw Error(ErrorKind::format, fmt::format("{}: tokenizer.json: found {} as token {}, expected the tag {}",
                                                 folder.string(), shown_text(found), id, tag));
  }

  std::string rows(bool thumbnail) const { return repeated(token_, config_.rows_in_text(thumbnail)); }

  ComposedConfig config_;
  std::unique_ptr<PictureProcessor> images_;
  std::string token_, thumbnail_;
  std::vector<std::string> tags_;
};

}  // namespace

std::unique_ptr<Processor> make_composed_processor(const fs::path& folder, const ConfigReader& config) {
  return std::make_unique<ComposedProcessor>(folder, parse_composed_config(config));
}

std::unique_ptr<PictureProcessor> make_composed_pictures(const fs::path& folder) {
  fs::path path = folder / "config.json";
  return read_pictures(folder, parse_composed_config(ConfigReader(read_json_file(path), path.string())));
}

}  // namespace nuri
