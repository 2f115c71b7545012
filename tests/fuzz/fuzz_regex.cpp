#include "fuzz.h"
#include "text/regex.h"
#include "text/unicode.h"

// The first line is an expression of a tokenizer file, the rest the text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  const std::string all = valid_utf8({reinterpret_cast<const char*>(data), size});
  const size_t end = std::min(all.find('\n'), all.size());
  return fuzz::parse_or_error([&] {
    const Pattern pattern = Pattern::regex(all.substr(0, end), "tokenizer.json: pattern");
    const std::string text = all.substr(std::min(end + 1, all.size()));
    size_t last = 0;
    for (const Span& span : pattern.find(text)) {
      if (span.begin != last || span.end < span.begin || span.end > text.size()) fuzz::fail("found spans with a gap");
      if (span.end < text.size() && (text[span.end] & 0xC0) == 0x80) fuzz::fail("found a span inside a character");
      last = span.end;
    }
    if (last != text.size()) fuzz::fail("found spans that do not cover the text");
  });
}
