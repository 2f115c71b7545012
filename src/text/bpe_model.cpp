#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer_model.h"
#include "text/unicode.h"

namespace nuri {
namespace {

// Rank and result of merging two tokens, in an open-addressed table.
class MergeTable {
 public:
  struct Merge {
    uint32_t rank;
    int32_t id;
  };

  explicit MergeTable(size_t count) {
    size_t slots = 64;
    while (slots < 2 * count) slots *= 2;
    slots_.assign(slots, {kEmpty, {0, 0}});
  }
  // The last merge of a pair counts.
  void set(int32_t left, int32_t right, Merge merge) {
    Slot& slot = slots_[place(key_of(left, right))];
    slot = {key_of(left, right), merge};
  }
  const Merge* find(int32_t left, int32_t right) const {
    const Slot& slot = slots_[place(key_of(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.merge;
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  static uint64_t key_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t place(uint64_t key) const {
    size_t slot = (key * 0x9E3779B97F4A7C15u) >> 20 & (slots_.size() - 1);
    while (slots_[slot].key != key && slots_[slot].key != kEmpty) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }
  std::vector<Slot> slots_;
};

struct Symbol {
  int32_t id;
  int32_t previous, next;  // -1 at the ends
  bool live;
};

// A word as a linked list of symbols that are merged by rank, the leftmost first (Sennrich et al. 2016); a heap of
// candidates keeps a long word from taking quadratic time.
class Word {
 public:
  explicit Word(const MergeTable& merges) : merges_(merges) {}

  void add(int32_t id) {
    const int32_t position = static_cast<int32_t>(symbols_.size());
    if (position > 0) symbols_.back().next = position;
    symbols_.push_back({id, position - 1, -1, true});
  }

  void merge() {
    for (size_t i = 0; i + 1 < symbols_.size(); ++i) offer(static_cast<int32_t>(i));
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      Symbol& left = symbols_[static_cast<size_t>(top.position)];
      if (!left.live || left.next < 0) continue;
      Symbol& right = symbols_[static_cast<size_t>(left.next)];
      // A neighbour may have changed since the candidate was queued.
      const auto* merge = merges_.find(left.id, right.id);
      if (merge == nullptr || merge->id != top.id) continue;
      left.id = top.id;
      left.next = right.next;
      right.live = false;
      if (right.next >= 0) symbols_[static_cast<size_t>(right.next)].previous = top.position;
      if (left.previous >= 0) offer(left.previous);
      offer(top.position);
    }
  }

  void append_ids(std::vector<int32_t>& ids) const {
    for (const Symbol& symbol : symbols_)
      if (symbol.live) ids.push_back(symbol.id);
  }

 private:
  struct Candidate {
    uint32_t rank;
    int32_t position, id;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  void offer(int32_t position) {
    const Symbol& left = symbols_[static_cast<size_t>(position)];
    if (left.next < 0) return;
    if (const auto* merge = merges_.find(left.id, symbols_[static_cast<size_t>(left.next)].id))
      queue_.push({merge->rank, position, merge->id});
  }

  const MergeTable& merges_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
};

class BpeModel : public TokenizerModel {
 public:
  explicit BpeModel(const Component& component)
      : TokenizerModel(Vocabulary::from_object(component, "vocab")),
        merges_(component.list("merges").size()),
        where_unk_(component.where("unk_token")),
        fuse_unk_(component.boolean("fuse_unk", false)),
        byte_fallback_(component.boolean("byte_fallback", false)),
        ignore_merges_(component.boolean("ignore_merges", false)) {
    if (component.has("unk_token")) unk_token_ = component.string("unk_token");
    if (component.has("continuing_subword_prefix")) prefix_ = component.string("continuing_subword_prefix");
    if (component.has("end_of_word_suffix")) suffix_ = component.string("end_of_word_suffix");
    if (unk_token_) unk_ = vocabulary_.id_of(*unk_token_);
    for (int byte = 0; byte < 256; ++byte)
      bytes_[byte] = vocabulary_.id_of(token_of_byte(static_cast<unsigned char>(byte))).value_or(-1);
    read_merges(component);
  }

  void encode(std::string_view word, std::vector<int32_t>& ids) const override {
    if (ignore_merges_) {
      if (auto id = vocabulary_.id_of(word)) {
        ids.push_back(*id);
        return;
      }
    }
    if (cache_.find(word, ids)) return;
    const size_t before = ids.size();
    Word symbols(merges_);
    add_symbols(word, symbols);
    symbols.merge();
    symbols.append_ids(ids);
    cache_.add(word, ids.data() + before, ids.size() - before);
  }

 private:
  void read_merges(const Component& component) {
    const Json& list = component.list("merges");
    uint32_t rank = 0;
    for (size_t i = 0; i < list.size(); ++i) {
      std::string left, right;
      if (!read_merge(component, list[i], left, right)) continue;
      const auto known = [&](const std::string& token) {
        if (auto id = vocabulary_.id_of(token)) return *id;
        component.fail("merges", fmt::format("merge {} with {}, which is not in the vocabulary", i, shown_json(token)),
                       "tokens of the vocabulary");
      };
      const int32_t left_id = known(left), right_id = known(right);
      if (right.size() < prefix_.size() || (right[prefix_.size()] & 0xC0) == 0x80)
        component.fail("merges", fmt::format("merge {} with {}", i, shown_json(right)),
                       fmt::format("the continuing_subword_prefix {} in front", shown_json(prefix_)));
      merges_.set(left_id, right_id, {rank++, known(left + right.substr(prefix_.size()))});
    }
  }

  // "a b", or ["a", "b"]; false for the version line of old files.
  static bool read_merge(const Component& component, const Json& merge, std::string& left, std::string& right) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
      return true;
    }
    if (!merge.is_string()) component.fail("merges", shown_json(merge), "a pair of tokens");
    const auto& text = merge.get_ref<const std::string&>();
    if (text.starts_with("#version")) return false;
    const size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
      component.fail("merges", shown_json(merge), "two tokens with a space between");
    left = text.substr(0, space);
    right = text.substr(space + 1);
    return true;
  }

  void add_symbols(std::string_view word, Word& symbols) const {
    bool unknown = false;  // an unknown token waits to be added
    std::string text;
    for (size_t at = 0; at < word.size();) {
      const size_t start = at;
      at += utf8_length(word[at]);
      text.clear();
      if (start > 0) text += prefix_;
      text.append(word, start, at - start);
      if (at == word.size()) text += suffix_;
      if (auto id = vocabulary_.id_of(text)) {
        if (std::exchange(unknown, false)) symbols.add(*unk_);
        symbols.add(*id);
        continue;
      }
      const auto has_byte = [&](char c) { return bytes_[static_cast<unsigned char>(c)] >= 0; };
      if (byte_fallback_ && std::all_of(text.begin(), text.end(), has_byte)) {
        // As in the reference, a waiting unknown token stays behind these.
        for (char c : text) symbols.add(bytes_[static_cast<unsigned char>(c)]);
        continue;
      }
      if (!unk_token_) continue;  // dropped, as in the reference
      if (!unk_)
        throw Error(ErrorKind::format, fmt::format("{}: found {}, expected a token of the vocabulary", where_unk_,
                                                   shown_json(*unk_token_)));
      if (unknown && !fuse_unk_) symbols.add(*unk_);
      unknown = true;
    }
    if (unknown) symbols.add(*unk_);
  }

  MergeTable merges_;
  std::string where_unk_, prefix_, suffix_;
  std::optional<std::string> unk_token_;
  std::optional<int32_t> unk_;
  bool fuse_unk_, byte_fallback_, ignore_merges_;
  int32_t bytes_[256];
  mutable WordCache cache_;
};

}  // namespace

std::unique_ptr<TokenizerModel> read_bpe_model(const Component& component) {
  return std::make_unique<BpeModel>(component);
}

}  // namespace nuri
