#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "media/image.h"
#include "models/parts/image_processor.h"
#include "text/tokenizer.h"

namespace nuri {

// What a model reads, before it becomes tensors.
struct PreparedPrompt {
  std::vector<int32_t> ids;
  std::optional<PixelValues> pixels;      // "pixel_values"
  std::vector<PictureGeometry> geometry;  // of each picture, to bring boxes back to its own pixels
};

// Text with placeholders and pictures -> token ids and pixel values. One for each family; free of torch.
class Processor {
 public:
  virtual ~Processor() = default;

  // `text` holds one placeholder for each picture, in order. Throws Error(usage) when their numbers differ.
  PreparedPrompt operator()(std::string_view text, std::span<const Image> pictures, bool add_special) const;

  // The placeholder of one picture; empty: the model reads no pictures.
  virtual std::string placeholder() const { return {}; }
  // Each placeholder becomes the tokens that its picture takes.
  virtual std::string expand(std::string_view text, std::span<const Image> pictures) const { return std::string(text); }
  // Throws Error(usage) when the model reads no pictures.
  virtual const ImageProcessor& pictures() const;
  // Whether the post-processor's special tokens go around a rendered chat that does not bring its own, as the
  // reference's processors (but not its plain tokenizers) do.
  virtual bool adds_special_to_chat() const { return false; }

  const Tokenizer& tokenizer() const { return tokenizer_; }

 protected:
  explicit Processor(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

 private:
  Tokenizer tokenizer_;
};

// Of a model that reads text alone.
std::unique_ptr<Processor> make_text_processor(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
