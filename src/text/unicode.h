#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// Text as the tokenizers need it. Strings are valid UTF-8 unless a comment says otherwise.

// The code point that starts at `at`; moves `at` behind it.
char32_t next_code_point(std::string_view text, size_t& at);
void append_utf8(std::string& out, char32_t code);
std::u32string to_code_points(std::string_view text);
size_t count_code_points(std::string_view text);
// Bytes that the UTF-8 character starting with `lead` takes.
size_t utf8_length(char lead);

// Turns bytes that may be broken into valid UTF-8, with U+FFFD for each maximal broken part (the practice of
// the Unicode standard, of Rust and of Python). Bytes may come in pieces; a character whose end is still to come
// is held back.
class Utf8Mender {
 public:
  void push(std::string_view bytes, std::string& out);
  void finish(std::string& out);

 private:
  std::string pending_;  // the valid start of one character
  int missing_ = 0;
  unsigned char low_ = 0x80, high_ = 0xBF;  // what the next byte may be
};
std::string valid_utf8(std::string_view bytes);

// Classes of characters, as the `tokenizers` library sees them. Parts of it carry old Unicode tables; the
// differences to today's stand in unicode_exceptions.cpp.
bool is_white_space(char32_t code);
bool is_numeric(char32_t code);
bool is_punctuation(char32_t code);        // category P, or ASCII punctuation
bool is_control_or_format(char32_t code);  // Cc, Cf, Co
bool is_nonspacing_mark(char32_t code);
bool is_combining_mark(char32_t code);
bool is_word(char32_t code);  // \w of Rust's regex crate

// One character of a rewritten text and how it came about: 0 replaces a character of the old text, 1 is new,
// -n replaces one and drops the n characters behind it.
struct CharEdit {
  char32_t code;
  int32_t change;
};

enum class NormalForm { nfc, nfd, nfkc, nfkd };
// True when the text surely has the form already (a quick look at ranges).
bool surely_normal(std::string_view text, NormalForm form);
std::vector<CharEdit> normal_form(std::string_view text, NormalForm form);
// Appends the lower case of one character (two for U+0130), without regard to context.
void append_lowercase(std::vector<CharEdit>& out, char32_t code);

// Ends of the extended grapheme clusters of `text`, in bytes.
std::vector<size_t> grapheme_ends(std::string_view text);

struct CodeRange {
  uint32_t first, last;
};
bool in_ranges(char32_t code, std::span<const CodeRange> ranges);

}  // namespace nuri
