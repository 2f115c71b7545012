#include "models/llava/next_processor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/llava/next_config.h"
#include "models/llava/next_image_processor.h"

namespace nuri {
namespace {

class LlavaNextProcessor : public Processor {
 public:
  LlavaNextProcessor(const std::filesystem::path& folder, const ConfigReader& reader)
      : Processor(Tokenizer::from_folder(folder)),
        config_(parse_llava_next_config(reader)),
        images_(LlavaNextImageProcessor::from_folder(folder)),
        token_(tokenizer().token_of(static_cast<int32_t>(config_.image_token))) {
    if (token_.empty())
      throw Error(ErrorKind::format, fmt::format("{}: tokenizer.json has no token {}, expected the image token there",
                                                 folder.string(), config_.image_token));
    if (images_.pinpoints() != config_.pinpoints)
      reader.reject("image_grid_pinpoints", "those of the processor file beside it");
  }

  std::string placeholder() const override { return token_; }
  const PictureProcessor& pictures() const override { return images_; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  std::string text_of_picture(const PreparedPictures& pictures, size_t index) const override {
    const PictureGeometry& picture = pictures.geometry[index];
    return repeated(token_, config_.tokens_of({picture.source_height, picture.source_width}));
  }

 private:
  LlavaNextConfig config_;
  LlavaNextImageProcessor images_;
  std::string token_;
};

}  // namespace

std::unique_ptr<Processor> make_llava_next_processor(const std::filesystem::path& folder, const ConfigReader& config) {
  return std::make_unique<LlavaNextProcessor>(folder, config);
}

std::unique_ptr<PictureProcessor> make_llava_next_pictures(const std::filesystem::path& folder) {
  return std::make_unique<LlavaNextImageProcessor>(LlavaNextImageProcessor::from_folder(folder));
}

}  // namespace nuri
