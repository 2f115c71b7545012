#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/parts/processors/image_processor.h"
#include "text/tokenizer.h"

namespace nuri {

// Texts and pictures for a model that puts both into one space: the tokenizer's side of a reference's processor.
class PairProcessor {
 public:
  struct TextRule {
    int64_t context;       // positions of the text tower
    bool pads_to_context;  // SigLIP reads the last position, so every text has all of them; else the longest text's
  };
  // Reads the tokenizer and, from tokenizer_config.json, `pad_token`, `padding_side` and `model_input_names` (whether
  // the model is given an attention mask: SigLIP learned without).
  PairProcessor(const std::filesystem::path& folder, const TextRule& rule, std::unique_ptr<PictureProcessor> pictures);

  // `input_ids` [N, T] and perhaps `attention_mask` [N, T]. Throws Error(usage) for a text of more tokens than the
  // context has, or none at all.
  std::vector<NamedArray> texts(std::span<const std::string> texts) const;
  const PictureProcessor& pictures() const { return *pictures_; }

 private:
  Tokenizer tokenizer_;
  TextRule rule_;
  std::unique_ptr<PictureProcessor> pictures_;
  int64_t pad_ = 0;
  bool pads_left_ = false, gives_mask_ = true;
};

}  // namespace nuri
