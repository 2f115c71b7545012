#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "media/image.h"
#include "media/video.h"
#include "models/parts/processors/image_processor.h"
#include "text/place_notation.h"
#include "text/tokenizer.h"

namespace nuri {

// What a model reads, before it becomes tensors.
struct PreparedPrompt {
  std::vector<int32_t> ids;
  PreparedPictures pictures;
  std::vector<NamedArray> videos;  // "pixel_values_videos" and what goes with them
};

// Text with placeholders, pictures and videos -> token ids and tensors. One for each family; free of torch.
class Processor {
 public:
  virtual ~Processor() = default;

  // `text` holds one placeholder for each picture, in order. Throws Error(usage) when their numbers differ.
  PreparedPrompt operator()(std::string_view text, std::span<const Image> pictures, bool add_special) const;
  // The same with one placeholder for each video besides.
  virtual PreparedPrompt operator()(std::string_view text, std::span<const Image> pictures,
                                    std::span<const Video> videos, bool add_special) const;

  // The placeholder of one picture; empty: the model reads no pictures.
  virtual std::string placeholder() const { return {}; }
  // Throws Error(usage) when the model reads no pictures.
  virtual const PictureProcessor& pictures() const;
  // The placeholder of one video; empty: the model watches no videos.
  virtual std::string video_placeholder() const { return {}; }
  // In what the family's models count the places of JSON objects that they write.
  virtual Place::Unit place_unit() const { return Place::Unit::pixels; }
  // The frames of a video that the family's models look at where nobody asks for others.
  virtual FrameChoice frames() const { return {.count = 8}; }
  // Whether the post-processor's special tokens go around a rendered chat that does not bring its own, as the
  // reference's processors (but not its plain tokenizers) do.
  virtual bool adds_special_to_chat() const { return false; }

  const Tokenizer& tokenizer() const { return tokenizer_; }

 protected:
  explicit Processor(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

  // The text as the family changes it before all else, as with a token in front.
  virtual std::string prepared_text(std::string_view text) const { return std::string(text); }
  // What the placeholder of picture `index` becomes: as many tokens as the picture takes.
  virtual std::string text_of_picture(const PreparedPictures& pictures, size_t index) const { return placeholder(); }
  // Throws Error(usage) when the model watches no videos.
  virtual std::vector<NamedArray> prepare_videos(std::span<const Video> videos) const;
  virtual std::string text_of_video(const std::vector<NamedArray>& videos, size_t index) const {
    return video_placeholder();
  }
  // Adds tensors that depend on where the tokens of pictures stand.
  virtual void complete(PreparedPrompt&) const {}

 private:
  Tokenizer tokenizer_;
};

std::string repeated(std::string_view text, int64_t count);

// Of a model that reads text alone.
std::unique_ptr<Processor> make_text_processor(const std::filesystem::path& folder, const ConfigReader& config);

}  // namespace nuri
