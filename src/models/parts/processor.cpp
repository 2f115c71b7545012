#include "models/parts/processor.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

class TextProcessor : public Processor {
 public:
  explicit TextProcessor(const std::filesystem::path& folder) : Processor(Tokenizer::from_folder(folder)) {}
};

}  // namespace

PreparedPrompt Processor::operator()(std::string_view text, std::span<const Image> images, bool add_special) const {
  PreparedPrompt prompt;
  if (!images.empty()) {
    for (const auto& image : images) prompt.geometry.push_back(pictures().geometry(image.width, image.height));
    prompt.pixels = pictures()(images);
  }
  prompt.ids = tokenizer_.encode(expand(text, images), add_special);
  return prompt;
}

const ImageProcessor& Processor::pictures() const {
  throw Error(ErrorKind::usage, "found a picture, but this model reads text alone");
}

std::unique_ptr<Processor> make_text_processor(const std::filesystem::path& folder, const ConfigReader&) {
  return std::make_unique<TextProcessor>(folder);
}

}  // namespace nuri
