#include "text/pre_tokenizers.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/byte_alphabet.h"
#include "text/normalizers.h"
#include "text/split_behavior.h"
#include "text/unicode_scripts.h"

namespace nuri {
namespace {

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(const Component& component) {
    for (size_t i = 0; i < component.list("pretokenizers").size(); ++i)
      parts_.push_back(read_pre_tokenizer(component.child("pretokenizers", i)));
  }
  void apply(std::vector<Piece>& pieces) const override {
    for (const auto& part : parts_) part->apply(pieces);
  }
  bool needs_origins() const override {
    return std::any_of(parts_.begin(), parts_.end(), [](const auto& part) { return part->needs_origins(); });
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  explicit ByteLevelPreTokenizer(const Component& component)
      : add_prefix_space_(component.boolean("add_prefix_space")),
        use_regex_(component.boolean("use_regex", true)),
        // GPT-2's encoder.py
        words_(Pattern::regex(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
                              component.where("use_regex"))) {}

  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [&](AlignedText text, std::vector<Piece>& out) {
      if (add_prefix_space_ && !text.text().starts_with(' ')) text.prepend(" ");
      if (use_regex_)
        split_text(text, words_.find(text.text()), SplitBehavior::isolated, out);
      else
        out.push_back({std::move(text), {}});
    });
    std::vector<CharEdit> edits;
    for (Piece& piece : pieces) {
      if (piece.id) continue;
      edits.clear();
      for (char c : piece.text.text())
        edits.push_back({char_of_byte(static_cast<unsigned char>(c)), (c & 0xC0) == 0x80 ? 1 : 0});
      piece.text.transform(edits);
    }
  }

 private:
  bool add_prefix_space_, use_regex_;
  Pattern words_;
};

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(const Component& component)
      : replacement_(component.character("replacement")),
        scheme_(read_prepend_scheme(component)),
        split_(component.boolean("split", true)),
        space_(Pattern::plain(" ", component.where("replacement"))) {
    append_utf8(text_, replacement_);
  }

  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [&](AlignedText text, std::vector<Piece>& out) {
      text.replace(space_, text_);
      const bool wanted = scheme_ == PrependScheme::always || (scheme_ == PrependScheme::first && text.at_start());
      if (wanted && !text.text().starts_with(text_)) text.prepend(text_);
      if (split_)
        split_text(text, find_chars(text.text(), [&](char32_t c) { return c == replacement_; }),
                   SplitBehavior::merged_with_next, out);
      else
        out.push_back({std::move(text), {}});
    });
  }
  bool needs_origins() const override { return scheme_ == PrependScheme::first; }

 private:
  char32_t replacement_;
  PrependScheme scheme_;
  bool split_;
  Pattern space_;
  std::string text_;
};

class SplitPreTokenizer : public PreTokenizer {
 public:
  explicit SplitPreTokenizer(const Component& component)
      : pattern_(read_pattern(component)),
        behavior_(read_split_behavior(component, "behavior")),
        invert_(component.boolean("invert", false)) {}

  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [&](AlignedText text, std::vector<Piece>& out) {
      std::vector<Span> spans = pattern_.find(text.text());
      if (invert_)
        for (Span& span : spans) span.match = !span.match;
      split_text(text, std::move(spans), behavior_, out);
    });
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// Splits at single characters of a class.
class CharPreTokenizer : public PreTokenizer {
 public:
  CharPreTokenizer(std::function<bool(char32_t)> delimiter, SplitBehavior behavior)
      : delimiter_(std::move(delimiter)), behavior_(behavior) {}

  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [&](AlignedText text, std::vector<Piece>& out) {
      split_text(text, find_chars(text.text(), delimiter_), behavior_, out);
    });
  }

 private:
  std::function<bool(char32_t)> delimiter_;
  SplitBehavior behavior_;
};

class BertPreTokenizer : public PreTokenizer {
 public:
  void apply(std::vector<Piece>& pieces) const override {
    blanks_.apply(pieces);
    punctuation_.apply(pieces);
  }

 private:
  CharPreTokenizer blanks_{is_white_space, SplitBehavior::removed};
  CharPreTokenizer punctuation_{is_punctuation, SplitBehavior::isolated};
};

// \w+|[^\w\s]+
class WhitespacePreTokenizer : public PreTokenizer {
 public:
  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [](AlignedText text, std::vector<Piece>& out) {
      enum Kind { blank, word, other };
      const std::string& all = text.text();
      size_t start = 0;
      Kind last = blank;
      for (size_t at = 0; at < all.size();) {
        const size_t from = at;
        const char32_t code = next_code_point(all, at);
        const Kind kind = is_word(code) ? word : is_white_space(code) ? blank : other;
        if (kind == last) continue;
        if (last != blank) out.push_back({text.slice(start, from), {}});
        start = from;
        last = kind;
      }
      if (last != blank) out.push_back({text.slice(start, all.size()), {}});
    });
  }
};

class FixedLengthPreTokenizer : public PreTokenizer {
 public:
  explicit FixedLengthPreTokenizer(const Component& component)
      : length_(component.has("length") ? component.integer("length", 1, INT32_MAX) : 5) {}

  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [&](AlignedText text, std::vector<Piece>& out) {
      const std::string& all = text.text();
      for (size_t at = 0; at < all.size();) {
        const size_t start = at;
        for (int64_t i = 0; i < length_ && at < all.size(); ++i) at += utf8_length(all[at]);
        out.push_back({text.slice(start, at), {}});
      }
    });
  }

 private:
  int64_t length_;
};

class ScriptPreTokenizer : public PreTokenizer {
 public:
  void apply(std::vector<Piece>& pieces) const override {
    split_pieces(pieces, [](AlignedText text, std::vector<Piece>& out) {
      const std::vector<size_t> starts = script_starts(text.text());
      // What stands before the first script (blanks) is lost, as in the reference.
      for (size_t i = 0; i < starts.size(); ++i)
        out.push_back({text.slice(starts[i], i + 1 < starts.size() ? starts[i + 1] : text.text().size()), {}});
    });
  }
};

}  // namespace

void split_pieces(std::vector<Piece>& pieces, const std::function<void(AlignedText, std::vector<Piece>&)>& split) {
  std::vector<Piece> out;
  out.reserve(pieces.size());
  for (Piece& piece : pieces) {
    if (piece.id)
      out.push_back(std::move(piece));
    else
      split(std::move(piece.text), out);
  }
  std::erase_if(out, [](const Piece& piece) { return piece.text.empty(); });
  pieces = std::move(out);
}

PrependScheme read_prepend_scheme(const Component& component) {
  const bool add = component.boolean("add_prefix_space", true);
  if (!component.has("prepend_scheme")) return add ? PrependScheme::always : PrependScheme::never;
  const std::string name = component.string("prepend_scheme");
  if (!add && name != "never")
    component.fail("add_prefix_space", "false with the prepend_scheme " + name, "the prepend_scheme never");
  if (name == "first") return PrependScheme::first;
  if (name == "never") return PrependScheme::never;
  if (name == "always") return PrependScheme::always;
  component.reject("prepend_scheme", "one of first, never, always");
}

std::unique_ptr<PreTokenizer> read_pre_tokenizer(const Component& component) {
  const std::string type = component.type();
  const auto chars = [](std::function<bool(char32_t)> delimiter, SplitBehavior behavior) {
    return std::make_unique<CharPreTokenizer>(std::move(delimiter), behavior);
  };
  if (type == "Sequence") return std::make_unique<SequencePreTokenizer>(component);
  if (type == "ByteLevel") return std::make_unique<ByteLevelPreTokenizer>(component);
  if (type == "Metaspace") return std::make_unique<MetaspacePreTokenizer>(component);
  if (type == "Split") return std::make_unique<SplitPreTokenizer>(component);
  if (type == "Whitespace") return std::make_unique<WhitespacePreTokenizer>();
  if (type == "WhitespaceSplit") return chars(is_white_space, SplitBehavior::removed);
  if (type == "BertPreTokenizer") return std::make_unique<BertPreTokenizer>();
  if (type == "Punctuation")
    return chars(is_punctuation,
                 component.has("behavior") ? read_split_behavior(component, "behavior") : SplitBehavior::isolated);
  if (type == "Digits")
    return chars(is_numeric,
                 component.boolean("individual_digits") ? SplitBehavior::isolated : SplitBehavior::contiguous);
  if (type == "CharDelimiterSplit")
    return chars([delimiter = component.character("delimiter")](char32_t c) { return c == delimiter; },
                 SplitBehavior::removed);
  if (type == "UnicodeScripts") return std::make_unique<ScriptPreTokenizer>();
  if (type == "FixedLength") return std::make_unique<FixedLengthPreTokenizer>(component);
  component.reject("type",
                   "one of Sequence, ByteLevel, Metaspace, Split, Whitespace, WhitespaceSplit, BertPreTokenizer, "
                   "Punctuation, Digits, CharDelimiterSplit, UnicodeScripts, FixedLength");
}

}  // namespace nuri
