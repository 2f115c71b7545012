#pragma once

#include <string>
#include <string_view>

namespace nuri {

// For the trusted, valid UTF-8 of CLDR and of our own tables; a malformed byte becomes U+FFFD.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(char32_t code);

inline bool is_hangul_syllable(char32_t code) { return code >= 0xAC00 && code <= 0xD7A3; }

}  // namespace nuri
