#pragma once

#include <cstdint>
#include <filesystem>
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

// The pieces between which no merge happens: runs of letters, numbers of up to three digits, marks with a space on
// either side, other space.
std::vector<std::string> split_for_merging(const std::string& text);

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
