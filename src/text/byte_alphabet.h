#pragma once

#include <string>
#include <string_view>

namespace nuri {

// The alphabet of byte-level BPE (GPT-2, Radford et al. 2019): each byte has a printable character; those that are
// printable in Latin-1 stand for themselves, the others take U+0100 and up.
char32_t char_of_byte(unsigned char byte);
// The byte of a character, or -1.
int byte_of_char(char32_t code);
// The byte of a token "<0x0A>" of a byte-fallback vocabulary, or -1.
int byte_of_token(std::string_view token);
std::string token_of_byte(unsigned char byte);

}  // namespace nuri
