#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/unicode_exceptions.h"

namespace nuri {
namespace {

utf8proc_category_t category(char32_t code) { return utf8proc_category(static_cast<utf8proc_int32_t>(code)); }

bool ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

bool mark(utf8proc_category_t c) {
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

int combining_class(char32_t code) {
  if (code < 0x300) return 0;
  const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(code));
  if (property->combining_class == 0 || in_ranges(code, no_combining_class())) return 0;
  return property->combining_class;
}

void append_decomposition(std::vector<CharEdit>& out, char32_t code, bool compatibility) {
  if (code < 0xA0 || in_ranges(code, no_decomposition())) return out.push_back({code, 0});
  utf8proc_int32_t buffer[32];
  int boundary = 0;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0));
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), buffer, 32, options, &boundary);
  if (count <= 0 || count > 32) return out.push_back({code, 0});
  for (utf8proc_ssize_t i = 0; i < count; ++i) out.push_back({static_cast<char32_t>(buffer[i]), i > 0});
}

// Marks behind a starter go into the order of their combining classes.
void order_marks(std::vector<CharEdit>& chars) {
  for (size_t i = 0; i < chars.size();) {
    if (combining_class(chars[i].code) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < chars.size() && combining_class(chars[end].code) != 0) ++end;
    std::stable_sort(chars.begin() + i, chars.begin() + end, [](const CharEdit& a, const CharEdit& b) {
      return combining_class(a.code) < combining_class(b.code);
    });
    i = end;
  }
}

// The primary composite of two characters, or 0.
char32_t composite(char32_t first, char32_t second) {
  constexpr char32_t kL = 0x1100, kV = 0x1161, kT = 0x11A7, kS = 0xAC00;
  if (first - kL < 19 && second - kV < 21) return kS + ((first - kL) * 21 + (second - kV)) * 28;
  if (first - kS < 11172 && (first - kS) % 28 == 0 && second - kT - 1 < 27) return first + (second - kT);
  const auto* a = utf8proc_get_property(static_cast<utf8proc_int32_t>(first));
  const auto* b = utf8proc_get_property(static_cast<utf8proc_int32_t>(second));
  if (a->comb_index == UINT16_MAX || b->comb_index == UINT16_MAX) return 0;
  utf8proc_int32_t pair[2] = {static_cast<utf8proc_int32_t>(first), static_cast<utf8proc_int32_t>(second)};
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  if (utf8proc_normalize_utf32(pair, 2, options) != 1) return 0;
  const char32_t result = static_cast<char32_t>(pair[0]);
  return in_ranges(result, no_decomposition()) ? 0 : result;
}

std::vector<CharEdit> compose(const std::vector<CharEdit>& chars) {
  std::vector<CharEdit> out;
  out.reserve(chars.size());
  size_t starter = SIZE_MAX;
  int last_class = 0;  // of what stands behind the starter; 0 when nothing does
  for (const CharEdit& c : chars) {
    const int own = combining_class(c.code);
    if (starter != SIZE_MAX && (last_class == 0 || last_class < own)) {
      if (const char32_t whole = composite(out[starter].code, c.code)) {
        out[starter] = {whole, out[starter].change + c.change - 1};
        continue;
      }
    }
    if (own == 0) starter = out.size();
    last_class = own;
    out.push_back(c);
  }
  return out;
}

}  // namespace

bool in_ranges(char32_t code, std::span<const CodeRange> ranges) {
  auto behind = std::upper_bound(ranges.begin(), ranges.end(), code,
                                 [](char32_t c, const CodeRange& range) { return c < range.first; });
  return behind != ranges.begin() && code <= std::prev(behind)->last;
}

size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const size_t length = std::min(utf8_length(text[at]), text.size() - at);
  char32_t code = byte(0);
  if (length == 2) code = (byte(0) & 0x1Fu) << 6 | (byte(1) & 0x3Fu);
  if (length == 3) code = (byte(0) & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
  if (length == 4)
    code = (byte(0) & 0x07u) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu);
  at += length;
  return code;
}

void append_utf8(std::string& out, char32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::u32string to_code_points(std::string_view text) {
  std::u32string codes;
  codes.reserve(text.size());
  for (size_t at = 0; at < text.size();) codes += next_code_point(text, at);
  return codes;
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void Utf8Mender::push(std::string_view bytes, std::string& out) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (missing_ > 0) {
      if (byte >= low_ && byte <= high_) {
        pending_ += c;
        low_ = 0x80, high_ = 0xBF;
        if (--missing_ == 0) out += pending_, pending_.clear();
        continue;
      }
      out += kReplacement;
      pending_.clear();
      missing_ = 0;
    }
    low_ = 0x80, high_ = 0xBF;
    if (byte < 0x80) {
      out += c;
    } else if (byte < 0xC2 || byte > 0xF4) {
      out += kReplacement;
    } else {
      missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
      if (byte == 0xE0) low_ = 0xA0;
      if (byte == 0xED) high_ = 0x9F;
      if (byte == 0xF0) low_ = 0x90;
      if (byte == 0xF4) high_ = 0x8F;
      pending_ = c;
    }
  }
}

void Utf8Mender::finish(std::string& out) {
  if (missing_ > 0) out += "\xEF\xBF\xBD";
  *this = Utf8Mender();
}

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  Utf8Mender mender;
  mender.push(bytes, out);
  mender.finish(out);
  return out;
}

bool is_white_space(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || c == ' ';
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t code) {
  if (code < 0x80) return code >= '0' && code <= '9';
  const auto c = category(code);
  return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t code) {
  if (code < 0x80) return ascii_punctuation(code);
  const auto c = category(code);
  if (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO) return !in_ranges(code, not_punctuation());
  return in_ranges(code, also_punctuation());
}

bool is_control_or_format(char32_t code) {
  const auto c = category(code);
  return (c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CO) &&
         !in_ranges(code, not_control_or_format());
}

bool is_nonspacing_mark(char32_t code) {
  if (code < 0x300) return false;
  if (category(code) == UTF8PROC_CATEGORY_MN) return !in_ranges(code, not_nonspacing_mark());
  return in_ranges(code, also_nonspacing_mark());
}

bool is_combining_mark(char32_t code) {
  if (code < 0x300) return false;
  if (mark(category(code))) return !in_ranges(code, not_combining_mark());
  return in_ranges(code, also_combining_mark());
}

bool is_word(char32_t code) {
  if (code < 0x80) return (code | 0x20) - 'a' < 26 || code - '0' < 10 || code == '_';
  // Letters that have another category: circled and squared Latin letters; and the two joiners.
  constexpr CodeRange kMore[] = {
      {0x200C, 0x200D}, {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
  const auto c = category(code);
  return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) || c == UTF8PROC_CATEGORY_PC ||
         in_ranges(code, kMore);
}

bool surely_normal(std::string_view text, NormalForm form) {
  const bool composed = form == NormalForm::nfc || form == NormalForm::nfkc;
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const char32_t plain = compatible ? 0xA0 : composed ? 0x300 : 0xC0;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    const bool stable = c < plain || (c >= 0x4E00 && c <= 0x9FFF) || (composed && c >= 0xAC00 && c <= 0xD7A3);
    if (!stable) return false;
  }
  return true;
}

std::vector<CharEdit> normal_form(std::string_view text, NormalForm form) {
  std::vector<CharEdit> chars;
  chars.reserve(text.size());
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  for (size_t at = 0; at < text.size();) append_decomposition(chars, next_code_point(text, at), compatible);
  order_marks(chars);
  return form == NormalForm::nfc || form == NormalForm::nfkc ? compose(chars) : chars;
}

void append_lowercase(std::vector<CharEdit>& out, char32_t code) {
  if (code == 0x130) {
    out.push_back({'i', 0});
    out.push_back({0x307, 1});
  } else if (code < 0x80) {
    out.push_back({code >= 'A' && code <= 'Z' ? code + 32 : code, 0});
  } else {
    out.push_back({static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code))), 0});
  }
}

std::vector<size_t> grapheme_ends(std::string_view text) {
  std::vector<size_t> ends;
  utf8proc_int32_t state = 0;
  size_t at = 0;
  for (char32_t last = 0; at < text.size();) {
    const size_t start = at;
    const char32_t code = next_code_point(text, at);
    if (start > 0 && utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last),
                                                      static_cast<utf8proc_int32_t>(code), &state))
      ends.push_back(start);
    last = code;
  }
  if (at > 0) ends.push_back(at);
  return ends;
}

}  // namespace nuri
