#include "models/llava/processor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/llava/config.h"

namespace nuri {
namespace {

class LlavaProcessor : public Processor {
 public:
  LlavaProcessor(const std::filesystem::path& folder, const LlavaConfig& config)
      : Processor(Tokenizer::from_folder(folder)),
        images_(ImageProcessor::from_folder(folder)),
        token_(tokenizer().token_of(static_cast<int32_t>(config.image_token))),
        tokens_(config.tokens_per_picture()) {
    if (token_.empty())
      throw Error(ErrorKind::format, fmt::format("{}: tokenizer.json has no token {}, expected the image token there",
                                                 folder.string(), config.image_token));
  }

  std::string placeholder() const override { return token_; }
  const PictureProcessor& pictures() const override { return images_; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  std::string text_of_picture(const PreparedPictures&, size_t) const override { return repeated(token_, tokens_); }

 private:
  ImageProcessor images_;
  std::string token_;
  int64_t tokens_;
};

}  // namespace

std::unique_ptr<Processor> make_llava_processor(const std::filesystem::path& folder, const ConfigReader& config) {
  return std::make_unique<LlavaProcessor>(folder, parse_llava_config(config));
}

}  // namespace nuri
