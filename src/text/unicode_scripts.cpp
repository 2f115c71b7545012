#include "text/unicode_scripts.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "text/unicode.h"
#include "text/unicode_exceptions.h"

namespace nuri {
namespace {

// The scripts of the reference's table, which is that of Unicode 9.
constexpr const char* kScripts[] = {"Common",
                                    "Latin",
                                    "Han",
                                    "Hangul",
                                    "Hiragana",
                                    "Katakana",
                                    "Cyrillic",
                                    "Greek",
                                    "Arabic",
                                    "Hebrew",
                                    "Devanagari",
                                    "Thai",
                                    "Bengali",
                                    "Tamil",
                                    "Telugu",
                                    "Inherited",
                                    "Adlam",
                                    "Ahom",
                                    "Anatolian_Hieroglyphs",
                                    "Armenian",
                                    "Avestan",
                                    "Balinese",
                                    "Bamum",
                                    "Bassa_Vah",
                                    "Batak",
                                    "Bhaiksuki",
                                    "Bopomofo",
                                    "Brahmi",
                                    "Braille",
                                    "Buginese",
                                    "Buhid",
                                    "Canadian_Aboriginal",
                                    "Carian",
                                    "Caucasian_Albanian",
                                    "Chakma",
                                    "Cham",
                                    "Cherokee",
                                    "Coptic",
                                    "Cuneiform",
                                    "Cypriot",
                                    "Deseret",
                                    "Duployan",
                                    "Egyptian_Hieroglyphs",
                                    "Elbasan",
                                    "Ethiopic",
                                    "Georgian",
                                    "Glagolitic",
                                    "Gothic",
                                    "Grantha",
                                    "Gujarati",
                                    "Gurmukhi",
                                    "Hanunoo",
                                    "Hatran",
                                    "Imperial_Aramaic",
                                    "Inscriptional_Pahlavi",
                                    "Inscriptional_Parthian",
                                    "Javanese",
                                    "Kaithi",
                                    "Kannada",
                                    "Kayah_Li",
                                    "Kharoshthi",
                                    "Khmer",
                                    "Khojki",
                                    "Khudawadi",
                                    "Lao",
                                    "Lepcha",
                                    "Limbu",
                                    "Linear_A",
                                    "Linear_B",
                                    "Lisu",
                                    "Lycian",
                                    "Lydian",
                                    "Mahajani",
                                    "Malayalam",
                                    "Mandaic",
                                    "Manichaean",
                                    "Marchen",
                                    "Meetei_Mayek",
                                    "Mende_Kikakui",
                                    "Meroitic_Cursive",
                                    "Meroitic_Hieroglyphs",
                                    "Miao",
                                    "Modi",
                                    "Mongolian",
                                    "Mro",
                                    "Multani",
                                    "Myanmar",
                                    "Nabataean",
                                    "New_Tai_Lue",
                                    "Newa",
                                    "Nko",
                                    "Ogham",
                                    "Ol_Chiki",
                                    "Old_Hungarian",
                                    "Old_Italic",
                                    "Old_North_Arabian",
                                    "Old_Permic",
                                    "Old_Persian",
                                    "Old_South_Arabian",
                                    "Old_Turkic",
                                    "Oriya",
                                    "Osage",
                                    "Osmanya",
                                    "Pahawh_Hmong",
                                    "Palmyrene",
                                    "Pau_Cin_Hau",
                                    "Phags_Pa",
                                    "Phoenician",
                                    "Psalter_Pahlavi",
                                    "Rejang",
                                    "Runic",
                                    "Samaritan",
                                    "Saurashtra",
                                    "Sharada",
                                    "Shavian",
                                    "Siddham",
                                    "SignWriting",
                                    "Sinhala",
                                    "Sora_Sompeng",
                                    "Sundanese",
                                    "Syloti_Nagri",
                                    "Syriac",
                                    "Tagalog",
                                    "Tagbanwa",
                                    "Tai_Le",
                                    "Tai_Tham",
                                    "Tai_Viet",
                                    "Takri",
                                    "Tangut",
                                    "Thaana",
                                    "Tibetan",
                                    "Tifinagh",
                                    "Tirhuta",
                                    "Ugaritic",
                                    "Vai",
                                    "Warang_Citi",
                                    "Yi"};
constexpr int kAny = -1, kHan = 2, kHiragana = 4, kKatakana = 5;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};

pcre2_code* compile_scripts() {
  std::string pattern;
  for (const char* script : kScripts)
    pattern += (pattern.empty() ? "(\\p{sc:" : "|(\\p{sc:") + std::string(script) + "})";
  int error = 0;
  size_t offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_ANCHORED, &error, &offset, nullptr);
  if (code == nullptr) throw Error(ErrorKind::internal, "found no script properties in PCRE2");
  return code;
}

int script_of(std::string_view character, char32_t code) {
  if (in_ranges(code, no_script())) return kAny;
  if (code == 0x30FC) return kHan;
  static const std::unique_ptr<pcre2_code, Free<pcre2_code_free>> scripts(compile_scripts());
  static thread_local const std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> data(
      pcre2_match_data_create_from_pattern(scripts.get(), nullptr));
  const int rc = pcre2_match(scripts.get(), reinterpret_cast<PCRE2_SPTR>(character.data()), character.size(), 0,
                             PCRE2_NO_UTF_CHECK, data.get(), nullptr);
  if (rc < 2) return kAny;  // a script that the reference does not know
  const int script = rc - 2;
  return script == kHiragana || script == kKatakana ? kHan : script;
}

}  // namespace

std::vector<size_t> script_starts(std::string_view text) {
  std::vector<size_t> starts;
  constexpr int kNone = -2;
  int last = kNone;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t code = next_code_point(text, at);
    const int script = script_of(text.substr(start, at - start), code);
    if (script == kAny) continue;
    if (script != last) starts.push_back(start);
    last = script;
  }
  return starts;
}

}  // namespace nuri
