#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/byte_trie.h"
#include "text/tokenizer_model.h"
#include "text/unicode.h"

namespace nuri {
namespace {

std::vector<std::string> read_tokens(const Component& component) {
  const Json& list = component.list("vocab");
  if (list.size() > static_cast<size_t>(kMaxTokenId))
    component.fail("vocab", fmt::format("{} tokens", list.size()), fmt::format("at most {}", kMaxTokenId));
  std::vector<std::string> tokens;
  tokens.reserve(list.size());
  for (const Json& entry : list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      component.fail("vocab", shown_json(entry), "a pair of a token and its score");
    tokens.push_back(entry[0].get<std::string>());
  }
  return tokens;
}

// The most probable way to cut a text into pieces of a vocabulary with log-probabilities (Kudo 2018), by Viterbi.
class UnigramModel : public TokenizerModel {
 public:
  explicit UnigramModel(const Component& component)
      : TokenizerModel(Vocabulary(read_tokens(component))),
        where_unk_(component.where("unk_id")),
        byte_fallback_(component.boolean("byte_fallback", false)) {
    double lowest = std::numeric_limits<double>::infinity();
    for (const Json& entry : component.list("vocab")) {
      scores_.push_back(entry[1].get<double>());
      lowest = std::min(lowest, scores_.back());
    }
    constexpr double kUnknownPenalty = 10;
    unknown_score_ = lowest - kUnknownPenalty;
    if (component.has("unk_id"))
      unk_ = static_cast<int32_t>(component.integer("unk_id", 0, static_cast<int64_t>(vocabulary_.size()) - 1));
    for (int32_t id = 0; id < vocabulary_.id_end(); ++id) {
      const std::string& token = *vocabulary_.token_of(id);
      if (!token.empty()) trie_.add(token, *vocabulary_.id_of(token));
    }
    for (int byte = 0; byte < 256; ++byte)
      bytes_[byte] = vocabulary_.id_of(token_of_byte(static_cast<unsigned char>(byte))).value_or(-1);
  }

  void encode(std::string_view word, std::vector<int32_t>& ids) const override {
    if (cache_.find(word, ids)) return;
    const size_t before = ids.size();
    std::vector<Best> best(word.size() + 1);
    find_best(word, best);
    append_path(word, best, ids);
    cache_.add(word, ids.data() + before, ids.size() - before);
  }

 private:
  // The best path to a position: its score, and its last piece.
  struct Best {
    double score = 0;
    int64_t start = -1;
    int32_t id = 0;
  };

  static void offer(Best& best, double score, size_t start, int32_t id) {
    if (best.start < 0 || score > best.score) best = {score, static_cast<int64_t>(start), id};
  }

  void find_best(std::string_view word, std::vector<Best>& best) const {
    for (size_t start = 0; start < word.size();) {
      const size_t length = std::min(utf8_length(word[start]), word.size() - start);
      const double score = best[start].score;
      bool whole = false;  // a piece of exactly this character
      trie_.prefixes(word.substr(start), [&](size_t size, int32_t id) {
        offer(best[start + size], scores_[static_cast<size_t>(id)] + score, start, id);
        whole |= size == length;
      });
      if (!whole) {
        if (!unk_) no_unknown();
        offer(best[start + length], unknown_score_ + score, start, *unk_);
      }
      start += length;
    }
  }

  void append_path(std::string_view word, const std::vector<Best>& best, std::vector<int32_t>& ids) const {
    struct Part {
      size_t begin, end;
      int32_t id;
    };
    std::vector<Part> parts;  // from the end; neighbouring unknown pieces are one
    for (size_t end = word.size(); end > 0;) {
      const Best& node = best[end];
      const size_t begin = static_cast<size_t>(node.start);
      const bool unknown = unk_ && node.id == *unk_;
      if (unknown && !parts.empty() && parts.back().id == *unk_)
        parts.back().begin = begin;
      else
        parts.push_back({begin, end, node.id});
      end = begin;
    }
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (unk_ && part->id == *unk_)
        append_unknown(word.substr(part->begin, part->end - part->begin), ids);
      else
        ids.push_back(part->id);
    }
  }

  void append_unknown(std::string_view text, std::vector<int32_t>& ids) const {
    if (auto id = vocabulary_.id_of(text)) return ids.push_back(*id);
    const auto has_byte = [&](char c) { return bytes_[static_cast<unsigned char>(c)] >= 0; };
    if (byte_fallback_ && std::all_of(text.begin(), text.end(), has_byte)) {
      for (char c : text) ids.push_back(bytes_[static_cast<unsigned char>(c)]);
    } else {
      ids.push_back(*unk_);
    }
  }

  [[noreturn]] void no_unknown() const {
    throw Error(ErrorKind::format,
                fmt::format("{}: not found, expected the id of the unknown token, since the text has a character that "
                            "is not in the vocabulary",
                            where_unk_));
  }

  std::string where_unk_;
  bool byte_fallback_;
  std::vector<double> scores_;
  double unknown_score_;
  std::optional<int32_t> unk_;
  int32_t bytes_[256];
  ByteTrie trie_;
  mutable WordCache cache_;
};

}  // namespace

std::unique_ptr<TokenizerModel> read_unigram_model(const Component& component) {
  return std::make_unique<UnigramModel>(component);
}

}  // namespace nuri
