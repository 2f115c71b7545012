#include "text/added_tokens.h"

#include <algorithm>

namespace nuri {
namespace {

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t at = text.size() - 1;
  while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
  return is_word(next_code_point(text, at));
}

bool starts_with_word(std::string_view text) {
  size_t at = 0;
  return !text.empty() && is_word(next_code_point(text, at));
}

// Where the white space at the end of text[0, end) begins.
size_t trim_end(std::string_view text, size_t end) {
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (text[start] & 0xC0) == 0x80) --start;
    size_t at = start;
    if (!is_white_space(next_code_point(text, at))) break;
    end = start;
  }
  return end;
}

size_t skip_blanks(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t at = begin;
    if (!is_white_space(next_code_point(text, at))) break;
    begin = at;
  }
  return begin;
}

}  // namespace

AddedToken read_added_token(const Component& component) {
  AddedToken token;
  token.content = component.string("content");
  token.special = component.boolean("special", false);
  token.single_word = component.boolean("single_word", false);
  token.lstrip = component.boolean("lstrip", false);
  token.rstrip = component.boolean("rstrip", false);
  token.normalized = component.boolean("normalized", !token.special);
  return token;
}

int32_t AddedTokens::add(const AddedToken& token, const Vocabulary& vocabulary, const Normalizer* normalizer) {
  if (token.content.empty()) return -1;
  if (next_id_ < 0) next_id_ = static_cast<int32_t>(vocabulary.size());
  std::optional<int32_t> id = id_of(token.content);
  if (id && tokens_.at(*id) == token) return *id;
  if (!id) id = vocabulary.id_of(token.content);
  if (!id) id = next_id_++;
  if (token.normalized && normalizer != nullptr) {
    AlignedText text(token.content, false);
    normalizer->apply(text);
    if (text.text() != token.content) normalized_[*id] = text.text();
  }
  ids_[token.content] = *id;
  tokens_[*id] = token;
  if (token.special) special_.insert(token.content);
  return *id;
}

void AddedTokens::build() {
  plain_ = in_normalized_ = ByteTrie();
  for (const auto& [id, token] : tokens_) {
    if (!token.normalized) {
      plain_.add(token.content, id);
    } else {
      const std::string& text = *text_of(id);
      if (!text.empty()) in_normalized_.add(text, id);
    }
  }
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  auto found = ids_.find(content);
  return found == ids_.end() ? nullptr : &tokens_.at(found->second);
}

std::optional<int32_t> AddedTokens::id_of(std::string_view content) const {
  auto found = ids_.find(content);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* AddedTokens::text_of(int32_t id) const {
  if (auto found = normalized_.find(id); found != normalized_.end()) return &found->second;
  auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second.content;
}

std::vector<AddedTokens::Found> AddedTokens::find_all(std::string_view text, bool normalized) const {
  const ByteTrie& trie = normalized ? in_normalized_ : plain_;
  std::vector<Found> found;
  size_t taken = 0;  // what stands before belongs to a token
  for (size_t at = 0; at < text.size();) {
    Found longest{at, at, -1};
    trie.prefixes(text.substr(at), [&](size_t size, int32_t id) { longest = {at, at + size, id}; });
    if (longest.id < 0) {
      ++at;
      continue;
    }
    at = longest.end;
    const AddedToken& token = tokens_.at(longest.id);
    if (token.single_word &&
        (ends_with_word(text.substr(0, longest.begin)) || starts_with_word(text.substr(longest.end))))
      continue;
    if (token.lstrip) longest.begin = std::max(trim_end(text, longest.begin), taken);
    if (token.rstrip) longest.end = skip_blanks(text, longest.end);
    taken = longest.end;
    found.push_back(longest);
  }
  return found;
}

void AddedTokens::split(std::vector<Piece>& pieces, bool normalized) const {
  if ((normalized ? in_normalized_ : plain_).empty()) {
    // The reference takes a slice all the same, which forgets what was stripped from the front.
    split_pieces(pieces, [](AlignedText text, std::vector<Piece>& out) {
      const size_t size = text.text().size();
      out.push_back({text.slice(0, size), {}});
    });
    return;
  }
  split_pieces(pieces, [&](AlignedText text, std::vector<Piece>& out) {
    size_t last = 0;
    for (const Found& token : find_all(text.text(), normalized)) {
      if (last < token.begin) out.push_back({text.slice(last, token.begin), {}});
      out.push_back({text.slice(token.begin, token.end), token.id});
      last = token.end;
    }
    if (last < text.text().size()) out.push_back({text.slice(last, text.text().size()), {}});
  });
}

}  // namespace nuri
