#include "text/byte_alphabet.h"

#include <fmt/format.h>

#include <array>

namespace nuri {
namespace {

bool printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<char32_t, 256> chars;
  std::array<int, 0x144> bytes;

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      chars[byte] = printable(byte) ? static_cast<char32_t>(byte) : next++;
      bytes[chars[byte]] = byte;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet one;
  return one;
}

}  // namespace

char32_t char_of_byte(unsigned char byte) { return alphabet().chars[byte]; }

int byte_of_char(char32_t code) { return code < alphabet().bytes.size() ? alphabet().bytes[code] : -1; }

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  int value = 0;
  for (char c : token.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

std::string token_of_byte(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

}  // namespace nuri
