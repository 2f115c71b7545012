#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "text/tokenizer_model.h"
#include "text/unicode.h"

namespace nuri {
namespace {

// The unknown token of a model; it may be missing as long as it is not needed.
class UnknownToken {
 public:
  UnknownToken(const Component& component, const Vocabulary& vocabulary, std::string fallback)
      : where_(component.where("unk_token")),
        token_(component.has("unk_token") ? component.string("unk_token") : std::move(fallback)),
        id_(vocabulary.id_of(token_)) {}

  int32_t id() const {
    if (id_) return *id_;
    throw Error(ErrorKind::format,
                fmt::format("{}: found {}, expected a token of the vocabulary", where_, shown_json(token_)));
  }

 private:
  std::string where_, token_;
  std::optional<int32_t> id_;
};

// The longest piece first, from left to right (Wu et al. 2016).
class WordPieceModel : public TokenizerModel {
 public:
  explicit WordPieceModel(const Component& component)
      : TokenizerModel(Vocabulary::from_object(component, "vocab")),
        unknown_(component, vocabulary_, "[UNK]"),
        prefix_(component.has("continuing_subword_prefix") ? component.string("continuing_subword_prefix") : "##"),
        longest_word_(component.has("max_input_chars_per_word")
                          ? component.integer("max_input_chars_per_word", 0, INT32_MAX)
                          : 100) {}

  void encode(std::string_view word, std::vector<int32_t>& ids) const override {
    const size_t before = ids.size();
    if (static_cast<int64_t>(count_code_points(word)) <= longest_word_ && append_pieces(word, ids)) return;
    ids.resize(before);
    ids.push_back(unknown_.id());
  }

 private:
  bool append_pieces(std::string_view word, std::vector<int32_t>& ids) const {
    std::string piece;
    for (size_t start = 0; start < word.size();) {
      size_t end = std::min(word.size(), start + vocabulary_.longest());
      while (end < word.size() && end > start && (word[end] & 0xC0) == 0x80) --end;
      std::optional<int32_t> id;
      while (end > start) {
        piece = start > 0 ? prefix_ : "";
        piece.append(word, start, end - start);
        if ((id = vocabulary_.id_of(piece))) break;
        do --end;
        while (end > start && (word[end] & 0xC0) == 0x80);
      }
      if (!id) return false;
      ids.push_back(*id);
      start = end;
    }
    return true;
  }

  UnknownToken unknown_;
  std::string prefix_;
  int64_t longest_word_;
};

class WordLevelModel : public TokenizerModel {
 public:
  explicit WordLevelModel(const Component& component)
      : TokenizerModel(Vocabulary::from_object(component, "vocab")), unknown_(component, vocabulary_, "<unk>") {}

  void encode(std::string_view word, std::vector<int32_t>& ids) const override {
    const auto id = vocabulary_.id_of(word);
    ids.push_back(id ? *id : unknown_.id());
  }

 private:
  UnknownToken unknown_;
};

}  // namespace

std::unique_ptr<TokenizerModel> read_word_piece_model(const Component& component) {
  return std::make_unique<WordPieceModel>(component);
}

std::unique_ptr<TokenizerModel> read_word_level_model(const Component& component) {
  return std::make_unique<WordLevelModel>(component);
}

}  // namespace nuri
