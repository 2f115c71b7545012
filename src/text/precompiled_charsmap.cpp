#include "text/precompiled_charsmap.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/unicode.h"

namespace nuri {
namespace {

[[noreturn]] void fail(std::string_view where, std::string_view found, std::string_view expected) {
  throw Error(ErrorKind::format, fmt::format("{}: found {}, expected {}", where, found, expected));
}

std::string from_base64(std::string_view text, std::string_view where) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  size_t i = 0;
  for (; i < text.size() && text[i] != '='; ++i) {
    const char c = text[i];
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) fail(where, fmt::format("the character code {}", static_cast<unsigned char>(c)), "base64");
    bits = bits << 6 | static_cast<uint32_t>(value);
    if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  if (text.size() % 4 != 0 || text.size() - i > 2) fail(where, fmt::format("{} characters", text.size()), "base64");
  return bytes;
}

bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }
uint32_t label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
uint32_t offset(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

}  // namespace

PrecompiledCharsmap::PrecompiledCharsmap(std::string_view base64, std::string_view where) {
  const std::string bytes = from_base64(base64, where);
  const auto word = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << 8 * i;
    return value;
  };
  if (bytes.size() < 8) fail(where, fmt::format("a table of {} bytes", bytes.size()), "a trie and its strings");
  const size_t trie_bytes = word(0);
  if (trie_bytes % 4 != 0 || trie_bytes < 4 || trie_bytes > bytes.size() - 4)
    fail(where, fmt::format("a trie of {} bytes in a table of {}", trie_bytes, bytes.size()), "a trie inside it");
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) trie_.push_back(word(at));
  replacements_ = bytes.substr(4 + trie_bytes);
  if (valid_utf8(replacements_) != replacements_) fail(where, "replacements that are no UTF-8", "UTF-8");
}

std::optional<std::string_view> PrecompiledCharsmap::find(std::string_view text) const {
  size_t node = offset(trie_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    node ^= byte;
    if (node >= trie_.size() || label(trie_[node]) != byte) break;
    const uint32_t unit = trie_[node];
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (node >= trie_.size()) break;
    const size_t start = trie_[node] & ~(1u << 31);
    // An offset into the middle of a character would give broken text.
    if (start > replacements_.size() || (start < replacements_.size() && (replacements_[start] & 0xC0) == 0x80)) break;
    const size_t end = replacements_.find('\0', start);
    return std::string_view(replacements_).substr(start, end == std::string::npos ? end : end - start);
  }
  return {};
}

}  // namespace nuri
