#include "text/normalizers.h"

#include <fmt/format.h>

#include "text/byte_alphabet.h"
#include "text/precompiled_charsmap.h"

namespace nuri {
namespace {

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(const Component& component) {
    for (size_t i = 0; i < component.list("normalizers").size(); ++i)
      parts_.push_back(read_normalizer(component.child("normalizers", i)));
  }
  void apply(AlignedText& text) const override {
    for (const auto& part : parts_) part->apply(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(NormalForm form) : form_(form) {}
  void apply(AlignedText& text) const override {
    if (!surely_normal(text.text(), form_)) text.transform(normal_form(text.text(), form_));
  }

 private:
  NormalForm form_;
};

void lowercase(AlignedText& text) {
  std::vector<CharEdit> edits;
  edits.reserve(text.text().size());
  for (size_t at = 0; at < text.text().size();) append_lowercase(edits, next_code_point(text.text(), at));
  text.transform(edits);
}

class LowercaseNormalizer : public Normalizer {
 public:
  void apply(AlignedText& text) const override { lowercase(text); }
};

class StripNormalizer : public Normalizer {
 public:
  explicit StripNormalizer(const Component& component)
      : left_(component.boolean("strip_left")), right_(component.boolean("strip_right")) {}
  void apply(AlignedText& text) const override { text.strip(left_, right_); }

 private:
  bool left_, right_;
};

class StripAccentsNormalizer : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    text.keep_if([](char32_t c) { return !is_combining_mark(c); });
  }
};

class ReplaceNormalizer : public Normalizer {
 public:
  explicit ReplaceNormalizer(const Component& component)
      : pattern_(read_pattern(component)), content_(component.string("content")) {}
  void apply(AlignedText& text) const override { text.replace(pattern_, content_); }

 private:
  Pattern pattern_;
  std::string content_;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(const Component& component) : text_(component.string("prepend")) {}
  void apply(AlignedText& text) const override { text.prepend(text_); }

 private:
  std::string text_;
};

// BasicTokenizer of BERT (Devlin et al. 2018), without its splitting.
class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(const Component& component)
      : clean_(component.boolean("clean_text")),
        chinese_(component.boolean("handle_chinese_chars")),
        lowercase_(component.boolean("lowercase")),
        strip_accents_(component.boolean("strip_accents", lowercase_)) {}

  void apply(AlignedText& text) const override {
    if (clean_) clean(text);
    if (chinese_) part_chinese(text);
    if (strip_accents_) {
      if (!surely_normal(text.text(), NormalForm::nfd)) text.transform(normal_form(text.text(), NormalForm::nfd));
      text.keep_if([](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (lowercase_) lowercase(text);
  }

 private:
  static void clean(AlignedText& text) {
    const auto blank = [](char32_t c) { return c == '\t' || c == '\n' || c == '\r'; };
    text.keep_if([&](char32_t c) { return blank(c) || (c != 0 && c != 0xFFFD && !is_control_or_format(c)); });
    text.map([](char32_t c) { return is_white_space(c) ? U' ' : c; });
  }

  static bool chinese(char32_t c) {
    // The blocks as the reference lists them, 2B820 misspelt as there.
    constexpr CodeRange kBlocks[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                                     {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    return c >= 0x3400 && in_ranges(c, kBlocks);
  }

  static void part_chinese(AlignedText& text) {
    std::vector<CharEdit> edits;
    edits.reserve(text.text().size());
    bool changed = false;
    for (size_t at = 0; at < text.text().size();) {
      const char32_t code = next_code_point(text.text(), at);
      if (chinese(code)) {
        edits.insert(edits.end(), {{' ', 0}, {code, 1}, {' ', 1}});
        changed = true;
      } else {
        edits.push_back({code, 0});
      }
    }
    if (changed) text.transform(edits);
  }

  bool clean_, chinese_, lowercase_, strip_accents_;
};

// The rules "nmt" of SentencePiece.
class NmtNormalizer : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    text.keep_if([](char32_t c) {
      return !((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F);
    });
    text.map([](char32_t c) {
      const bool blank = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      return blank ? U' ' : c;
    });
  }
};

class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(const Component& component)
      : map_(component.string("precompiled_charsmap"), component.where("precompiled_charsmap")) {}

  void apply(AlignedText& aligned) const override {
    const std::string& text = aligned.text();
    std::vector<CharEdit> edits;
    edits.reserve(text.size());
    bool changed = false;
    size_t start = 0;
    for (const size_t end : grapheme_ends(text)) {
      const std::string_view grapheme = std::string_view(text).substr(start, end - start);
      start = end;
      if (grapheme.size() < 6) {
        if (auto found = map_.find(grapheme)) {
          changed = true;
          replace(edits, grapheme, *found);
          continue;
        }
      }
      for (size_t at = 0; at < grapheme.size();) {
        const size_t from = at;
        const char32_t code = next_code_point(grapheme, at);
        const std::string_view part = grapheme.substr(from, at - from);
        if (auto found = map_.find(part)) {
          changed = true;
          replace(edits, part, *found);
        } else {
          edits.push_back({code, 0});
        }
      }
    }
    if (changed) aligned.transform(edits);
  }

 private:
  static void replace(std::vector<CharEdit>& edits, std::string_view from, std::string_view to) {
    const int64_t more = static_cast<int64_t>(count_code_points(to)) - static_cast<int64_t>(count_code_points(from));
    for (size_t at = 0; at < to.size();) edits.push_back({next_code_point(to, at), 0});
    for (int64_t i = 0; i < more; ++i) edits[edits.size() - 1 - static_cast<size_t>(i)].change = 1;
    if (more < 0 && !edits.empty()) edits.back().change += static_cast<int32_t>(more);
  }

  PrecompiledCharsmap map_;
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    std::vector<CharEdit> edits;
    edits.reserve(text.text().size());
    for (char c : text.text())
      edits.push_back({char_of_byte(static_cast<unsigned char>(c)), (c & 0xC0) == 0x80 ? 1 : 0});
    text.transform(edits);
  }
};

}  // namespace

Pattern read_pattern(const Component& component) {
  const Component pattern = component.child("pattern");
  if (pattern.has("String")) return Pattern::plain(pattern.string("String"), pattern.where("String"));
  if (pattern.has("Regex")) return Pattern::regex(pattern.string("Regex"), pattern.where("Regex"));
  component.reject("pattern", "an object with String or Regex");
}

std::unique_ptr<Normalizer> read_normalizer(const Component& component) {
  const std::string type = component.type();
  if (type == "Sequence") return std::make_unique<SequenceNormalizer>(component);
  if (type == "NFC") return std::make_unique<FormNormalizer>(NormalForm::nfc);
  if (type == "NFD") return std::make_unique<FormNormalizer>(NormalForm::nfd);
  if (type == "NFKC") return std::make_unique<FormNormalizer>(NormalForm::nfkc);
  if (type == "NFKD") return std::make_unique<FormNormalizer>(NormalForm::nfkd);
  if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
  if (type == "Strip") return std::make_unique<StripNormalizer>(component);
  if (type == "StripAccents") return std::make_unique<StripAccentsNormalizer>();
  if (type == "Replace") return std::make_unique<ReplaceNormalizer>(component);
  if (type == "Prepend") return std::make_unique<PrependNormalizer>(component);
  if (type == "BertNormalizer") return std::make_unique<BertNormalizer>(component);
  if (type == "Nmt") return std::make_unique<NmtNormalizer>();
  if (type == "Precompiled") return std::make_unique<PrecompiledNormalizer>(component);
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  component.reject("type",
                   "one of Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, Prepend, "
                   "BertNormalizer, Nmt, Precompiled, ByteLevel");
}

}  // namespace nuri
