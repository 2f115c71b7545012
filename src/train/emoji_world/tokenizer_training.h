#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "train/emoji_world/world.h"

namespace nuri {

// A byte-level BPE model (Sennrich, Haddow, Birch 2016; bytes as in GPT-2). Tokens are strings of raw bytes; the
// first 256 are the single bytes.
struct BytePairs {
  std::vector<std::string> tokens;
  std::vector<std::pair<int, int>> merges;  // ids of the parts, in the order of merging
};

// Learns merges from words and how often each stands, until there are `size` tokens or no pair stands twice. Ties go
// to the pair of smaller ids, so the result hangs on nothing but the arguments. Throws Error(usage) for size < 256.
BytePairs learn_byte_pairs(const std::vector<std::pair<std::string, int64_t>>& words, int size);

// Splits a text into the pieces between which no merge happens: runs of letters, numbers of up to three digits, marks
// with a space on either side, other space. A Korean name of an object stands apart from the particle behind it, so
// that it is the same tokens in every sentence.
class PieceSplitter {
 public:
  explicit PieceSplitter(const EmojiWorld& world);
  const std::string& pattern() const { return pattern_; }
  // Throws Error(format) for what is not UTF-8.
  std::vector<std::string> operator()(const std::string& text) const;

 private:
  std::string pattern_;
  std::shared_ptr<void> code_;
};

struct TokenizerTrainingOptions {
  int vocabulary = 3072;  // with the special tokens
  int scenes = 3000;      // of the training split, whose conversations are the corpus
  uint64_t seed = 1;
  bool gives_mask = true;  // false: for a text tower that learned without an attention mask, as SigLIP's
};

// Writes tokenizer.json, tokenizer_config.json and chat_template.jinja of a tokenizer for conversations about the
// emoji world into `folder`, in the format of the Hugging Face tokenizers library. The special tokens are
// <|endoftext|> (padding), <|im_start|>, <|im_end|> (end of an answer) and <image>, with the last ids.
void write_emoji_tokenizer(const EmojiWorld& world, const TokenizerTrainingOptions& options,
                           const std::filesystem::path& folder);

}  // namespace nuri
