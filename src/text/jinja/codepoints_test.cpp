#include "text/jinja/codepoints.h"

#include <gtest/gtest.h>

namespace nuri::jinja {
namespace {

uint64_t add_to_hash(uint64_t value, std::string_view bytes) {
  for (char c : bytes) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return value;
}

// FNV-1a over what `describe` says of the code points that tests/parity/codepoints.py takes.
template <class Describe>
uint64_t hash_of_plane(Describe describe) {
  uint64_t value = 0xCBF29CE484222325u;
  for (char32_t c = 0; c < 0x10000; ++c) {
    if ((c >= 0xD800 && c < 0xE000) || c == 0x0CF3 || c == 0x0ECE) continue;
    value = add_to_hash(value, describe(c));
  }
  return value;
}

uint64_t hash_of_mapping(std::string (*map)(std::string_view)) {
  return hash_of_plane([&](char32_t c) {
    std::string text;
    append_code_point(text, c);
    return map(text) + std::string(1, '\0');
  });
}

uint64_t hash_of_class(bool (*holds)(char32_t)) {
  return hash_of_plane([&](char32_t c) { return std::string(1, static_cast<char>(holds(c) ? 1 : 0)); });
}

TEST(CodePoints, MappingsAreThoseOfPython) {
  EXPECT_EQ(hash_of_mapping(upper), 0x316cfd1a23e36964u);
  EXPECT_EQ(hash_of_mapping(lower), 0xd2016e22c13f9eacu);
  EXPECT_EQ(hash_of_mapping(title), 0xb794b9cd163cbe35u);
  EXPECT_EQ(hash_of_mapping(capitalize), 0xb794b9cd163cbe35u);
  EXPECT_EQ(hash_of_mapping(swap_case), 0x942a8d3ea0a8b7b8u);
  EXPECT_EQ(hash_of_mapping(case_fold), 0xc185aa19a4f7ceceu);
}

TEST(CodePoints, ClassesAreThoseOfPython) {
  EXPECT_EQ(hash_of_class(is_space), 0x3e44bbd49bd15e60u);
  EXPECT_EQ(hash_of_class(is_alpha), 0x7d136ea4bfdd4c60u);
  EXPECT_EQ(hash_of_class(is_decimal), 0xbe8e7c7f60b1d6b3u);
  EXPECT_EQ(hash_of_class(is_digit), 0x1531fc65075c8fd4u);
  EXPECT_EQ(hash_of_class(is_numeric), 0xd72d87a2294230a5u);
  EXPECT_EQ(hash_of_class(is_alnum), 0x1424232fabdcf559u);
  EXPECT_EQ(hash_of_class(is_upper), 0x786cbecc2dcf489eu);
  EXPECT_EQ(hash_of_class(is_lower), 0x8ebc83be5451af8du);
  EXPECT_EQ(hash_of_class(is_printable), 0x336edcfb21b9381u);
}

TEST(CodePoints, SigmaAndTitles) {
  EXPECT_EQ(lower("ΟΔΟΣ ΣΑΣ. Σ A'Σ"), "οδος σας. σ a'ς");
  EXPECT_EQ(title("it's ΣΑΣ ǆx ﬁne"), "It'S Σας ǅx Fine");
  EXPECT_EQ(capitalize("éA ÉB"), "Éa éb");
}

TEST(CodePoints, Positions) {
  std::string text = "a한🎉é";
  EXPECT_EQ(code_point_count(text), 4u);
  EXPECT_EQ(byte_offset(text, 2), 4u);
  EXPECT_EQ(byte_offset(text, 9), text.size());
  EXPECT_EQ(decode(text), U"a한🎉é");
  EXPECT_EQ(strip("\u3000 x\u00a0\n", true, true), "x");
  EXPECT_EQ(strip("한글한", "한", true, false), "글한");
  EXPECT_EQ(split_lines("a\r\nb\u2028\nc", false), (std::vector<std::string_view>{"a", "b", "", "c"}));
}

TEST(CodePoints, StaysInsideBrokenText) {
  for (std::string text : {"\xff", "\xe3\x81", "\xf0", "a\xc3", "\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(valid_utf8(text));
    decode(text);
    upper(text);
    lower(text);
    strip(text, true, true);
    split_lines(text, true);
    EXPECT_LE(byte_offset(text, 1), text.size());
  }
}

}  // namespace
}  // namespace nuri::jinja
