#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// Blip2Processor: in front of everything that the tokenizer makes of a text, even of its first special token, stand as
// many image tokens as the Q-Former has queries. A prompt has one picture.
class QueryProcessor : public Processor {
 public:
  // `image_token`: its id by config.json, where the tokenizer does not know it.
  QueryProcessor(const std::filesystem::path& folder, std::optional<int64_t> image_token);

  // `text` needs no placeholder; one that stands there is left out, with a line's end behind it.
  using Processor::operator();
  PreparedPrompt operator()(std::string_view text, std::span<const Image> pictures, std::span<const Video> videos,
                            bool add_special) const override;

  std::string placeholder() const override { return token_; }
  const PictureProcessor& pictures() const override { return images_; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  // Adds what else the model reads of the text.
  virtual void add_text(PreparedPrompt&, const std::string&) const {}

 private:
  std::string without_placeholder(std::string_view text) const;

  ImageProcessor images_;
  std::string token_;
  std::optional<int32_t> id_;
  std::optional<int64_t> queries_;  // num_query_tokens; absent: older files, which put nothing into the prompt
};

}  // namespace nuri
