#include "train/emoji_world/utf8.h"

#include <utf8proc.h>

namespace nuri {

std::u32string decode_utf8(std::string_view text) {
  std::u32string codes;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code = 0;
    utf8proc_ssize_t length = utf8proc_iterate(at, left, &code);
    if (length <= 0) code = 0xFFFD, length = 1;
    codes.push_back(static_cast<char32_t>(code));
    at += length, left -= length;
  }
  return codes;
}

std::string encode_utf8(char32_t code) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
  return std::string(reinterpret_cast<char*>(bytes), static_cast<size_t>(length));
}

}  // namespace nuri
