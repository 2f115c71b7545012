#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "text/byte_trie.h"
#include "text/normalizers.h"
#include "text/pre_tokenizers.h"
#include "text/tokenizer_model.h"

namespace nuri {

// A token that is looked for in the text itself, before the model sees it.
struct AddedToken {
  std::string content;
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space behind it
  bool normalized = true;    // looked for in the normalized text, in its normalized form
  bool special = false;      // left out when decoding with skip_special
  bool operator==(const AddedToken&) const = default;
};

AddedToken read_added_token(const Component& component);

// The added tokens of a tokenizer, with the rules of the `tokenizers` library for ids, matching and decoding.
class AddedTokens {
 public:
  // Ids as the reference gives them: that of the vocabulary, or the next free one. The normalizer may be null.
  // Returns the id, or -1 for an empty token, which is ignored.
  int32_t add(const AddedToken& token, const Vocabulary& vocabulary, const Normalizer* normalizer);
  // To be called after the last add().
  void build();

  // Cuts the pieces at the tokens that are looked for before (normalized = false) or after normalizing.
  void split(std::vector<Piece>& pieces, bool normalized) const;

  const AddedToken* find(std::string_view content) const;
  std::optional<int32_t> id_of(std::string_view content) const;
  // The token as the decoder sees it: in its normalized form, if it has one.
  const std::string* text_of(int32_t id) const;
  bool is_special(std::string_view text) const { return special_.contains(text); }
  int32_t id_end() const { return tokens_.empty() ? 0 : tokens_.rbegin()->first + 1; }

 private:
  struct Found {
    size_t begin, end;
    int32_t id;
  };
  std::vector<Found> find_all(std::string_view text, bool normalized) const;

  std::map<std::string, int32_t, std::less<>> ids_;
  std::map<int32_t, AddedToken> tokens_;
  std::map<int32_t, std::string> normalized_;  // where normalizing changes the token
  std::set<std::string, std::less<>> special_;
  ByteTrie plain_, in_normalized_;
  int32_t next_id_ = -1;
};

}  // namespace nuri
