#include "fuzz.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace nuri {
namespace {

// Decoding token by token gives valid text, and the same as at once.
void decode_both_ways(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder stream(tokenizer, skip_special);
  std::string text;
  for (int32_t id : ids) {
    const std::string part = stream.push(id);
    if (part != valid_utf8(part)) fuzz::fail("found a stream that splits a character");
    text += part;
  }
  text += stream.finish();
  if (text != tokenizer.decode(ids, skip_special)) fuzz::fail("found a stream that differs from decode()");
}

void use(const Tokenizer& tokenizer) {
  for (const char* text : {"", "a", "Hello  World!\n", "한글 \xF0\x9F\x98\x80 e\u0301 ½ 12", "<s> a</s>\xFF"}) {
    std::vector<int32_t> ids;
    fuzz::parse_or_error([&] { ids = tokenizer.encode(text); });
    ids.insert(ids.end(), {0, 1, 2, 3, 4, -1, 1 << 30});
    for (int32_t id : ids)
      if (id < 0 && !tokenizer.token_of(id).empty()) fuzz::fail("found a token of a negative id");
    fuzz::parse_or_error([&] { decode_both_ways(tokenizer, ids, false); });
    fuzz::parse_or_error([&] { decode_both_ways(tokenizer, ids, true); });
  }
}

}  // namespace
}  // namespace nuri

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  return fuzz::parse_or_error([&] {
    const Json document = parse_json({reinterpret_cast<const char*>(data), size}, "tokenizer.json");
    use(Tokenizer::from_json(document, "tokenizer.json"));
  });
}
