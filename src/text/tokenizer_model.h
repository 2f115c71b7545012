#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/component.h"

namespace nuri {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using IdsByToken = std::unordered_map<std::string, int32_t, StringHash, std::equal_to<>>;

// The largest token id that a file may have.
constexpr int64_t kMaxTokenId = (1 << 24) - 1;

// Tokens and their ids.
class Vocabulary {
 public:
  // From an object of ids: Error(format) for an id that is none, or that two tokens share.
  static Vocabulary from_object(const Component& component, std::string_view key);
  // From a list: the index is the id; of equal tokens the last counts.
  explicit Vocabulary(std::vector<std::string> tokens);

  std::optional<int32_t> id_of(std::string_view token) const;
  const std::string* token_of(int32_t id) const;
  // Number of tokens, and the highest id + 1.
  size_t size() const { return size_; }
  int32_t id_end() const { return static_cast<int32_t>(tokens_.size()); }
  size_t longest() const { return longest_; }  // in bytes

 private:
  Vocabulary() = default;
  IdsByToken ids_;
  std::vector<const std::string*> tokens_;  // into ids_ or listed_
  std::unique_ptr<const std::vector<std::string>> listed_;
  size_t size_ = 0, longest_ = 0;
};

// The third stage of a tokenizer: turns a word into ids ("model" of tokenizer.json).
class TokenizerModel {
 public:
  explicit TokenizerModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenizerModel() = default;

  // Appends the ids of a word, which is not empty. Safe from several threads. Throws Error(format) when the word has
  // an unknown part and the file has no unknown token.
  virtual void encode(std::string_view word, std::vector<int32_t>& ids) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  Vocabulary vocabulary_;
};

// Error(unsupported) for an unknown kind, Error(format) for a broken one.
std::unique_ptr<TokenizerModel> read_model(const Component& component);
std::unique_ptr<TokenizerModel> read_bpe_model(const Component& component);
std::unique_ptr<TokenizerModel> read_unigram_model(const Component& component);
std::unique_ptr<TokenizerModel> read_word_piece_model(const Component& component);
std::unique_ptr<TokenizerModel> read_word_level_model(const Component& component);

// Ids of words seen before, up to a bound. Safe from several threads.
class WordCache {
 public:
  bool find(std::string_view word, std::vector<int32_t>& ids) const;
  void add(std::string_view word, const int32_t* ids, size_t count);

 private:
  static constexpr size_t kShards = 16, kWordsPerShard = 4096, kLongestWord = 256;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<int32_t>, StringHash, std::equal_to<>> words;
  };
  mutable Shard shards_[kShards];
  static size_t shard_of(std::string_view word) { return StringHash{}(word) >> 7 & (kShards - 1); }
};

}  // namespace nuri
