#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Python's view of a string, as code points, over UTF-8. All functions take valid UTF-8 and stay inside their
// argument whatever it holds. Classes of characters are those of Python 3.11 (Unicode 14).
namespace nuri::jinja {

bool valid_utf8(std::string_view text);

// The code point at byte `at`, which moves behind it. `at` must be inside the text.
char32_t next_code_point(std::string_view text, size_t& at);
void append_code_point(std::string& text, char32_t code_point);
std::u32string decode(std::string_view text);

size_t code_point_count(std::string_view text);
// The byte where code point number `index` begins; the size of the text when there are fewer.
size_t byte_offset(std::string_view text, size_t index);

bool is_space(char32_t code_point);
bool is_alpha(char32_t code_point);
bool is_decimal(char32_t code_point);
bool is_digit(char32_t code_point);
bool is_numeric(char32_t code_point);
bool is_alnum(char32_t code_point);
bool is_upper(char32_t code_point);
bool is_lower(char32_t code_point);
bool is_title(char32_t code_point);
bool is_printable(char32_t code_point);
// A letter, digit or underscore as \w has it.
bool is_word(char32_t code_point);
bool is_line_break(char32_t code_point);

// With the full mappings of SpecialCasing.txt and the final sigma, as Python's methods of these names.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);
std::string case_fold(std::string_view text);

// `characters` empty: white space. Trims the chosen sides.
std::string_view strip(std::string_view text, bool left, bool right);
std::string_view strip(std::string_view text, std::string_view characters, bool left, bool right);

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace nuri::jinja
