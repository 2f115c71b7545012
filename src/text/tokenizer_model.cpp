#include "text/tokenizer_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {

Vocabulary Vocabulary::from_object(const Component& component, std::string_view key) {
  const Json& object = component.at(key);
  if (!object.is_object()) component.fail(key, shown_json(object), "an object of tokens and their ids");
  Vocabulary vocabulary;
  vocabulary.ids_.reserve(object.size());
  int64_t last = -1;
  for (auto it = object.begin(); it != object.end(); ++it) {
    const Json& id = *it;
    if (!is_integer_between(id, 0, kMaxTokenId))
      component.fail(key, fmt::format("the id {} of the token {}", shown_json(id), shown_json(it.key())),
                     fmt::format("an integer between 0 and {}", kMaxTokenId));
    vocabulary.ids_.emplace(it.key(), id.get<int32_t>());
    last = std::max(last, id.get<int64_t>());
    vocabulary.longest_ = std::max(vocabulary.longest_, it.key().size());
  }
  vocabulary.size_ = vocabulary.ids_.size();
  vocabulary.tokens_.assign(static_cast<size_t>(last + 1), nullptr);
  for (const auto& [token, id] : vocabulary.ids_) {
    const std::string*& place = vocabulary.tokens_[static_cast<size_t>(id)];
    if (place != nullptr)
      component.fail(key, fmt::format("the id {} for both {} and {}", id, shown_json(*place), shown_json(token)),
                     "one token for each id");
    place = &token;
  }
  return vocabulary;
}

Vocabulary::Vocabulary(std::vector<std::string> tokens)
    : listed_(std::make_unique<const std::vector<std::string>>(std::move(tokens))), size_(listed_->size()) {
  ids_.reserve(size_);
  for (size_t i = 0; i < size_; ++i) {
    const std::string& token = (*listed_)[i];
    ids_[token] = static_cast<int32_t>(i);
    tokens_.push_back(&token);
    longest_ = std::max(longest_, token.size());
  }
}

std::optional<int32_t> Vocabulary::id_of(std::string_view token) const {
  auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Vocabulary::token_of(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < tokens_.size() ? tokens_[static_cast<size_t>(id)] : nullptr;
}

bool WordCache::find(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.size() > kLongestWord) return false;
  Shard& shard = shards_[shard_of(word)];
  std::lock_guard lock(shard.mutex);
  auto found = shard.words.find(word);
  if (found == shard.words.end()) return false;
  ids.insert(ids.end(), found->second.begin(), found->second.end());
  return true;
}

void WordCache::add(std::string_view word, const int32_t* ids, size_t count) {
  if (word.size() > kLongestWord) return;
  Shard& shard = shards_[shard_of(word)];
  std::lock_guard lock(shard.mutex);
  if (shard.words.size() < kWordsPerShard) shard.words.try_emplace(std::string(word), ids, ids + count);
}

std::unique_ptr<TokenizerModel> read_model(const Component& component) {
  // Old files name no type; they are told apart by their fields.
  std::string type;
  if (component.has("type"))
    type = component.type();
  else if (component.has("merges"))
    type = "BPE";
  else if (component.has("vocab") && component.at("vocab").is_array())
    type = "Unigram";
  else
    type = component.has("continuing_subword_prefix") ? "WordPiece" : "WordLevel";
  if (type == "BPE") return read_bpe_model(component);
  if (type == "Unigram") return read_unigram_model(component);
  if (type == "WordPiece") return read_word_piece_model(component);
  if (type == "WordLevel") return read_word_level_model(component);
  component.reject("type", "one of BPE, Unigram, WordPiece, WordLevel");
}

}  // namespace nuri
