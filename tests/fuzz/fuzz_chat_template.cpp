#include "fuzz.h"
#include "text/chat_template.h"

namespace {

constexpr std::string_view kMessages = R"([
  {"role": "system", "content": "Be brief."},
  {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is here? 무엇?"}]},
  {"role": "assistant", "content": "A <b>cat</b>.", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5}}}]},
  {"role": "user", "content": "  And\nthere? "}])";

}  // namespace

// A template, or a template, a zero byte and the messages that it renders.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  size_t zero = input.find('\0');
  std::string_view messages = zero == std::string_view::npos ? kMessages : input.substr(zero + 1);
  return fuzz::parse_or_error([&] {
    ChatTemplate chat(std::string(input.substr(0, zero)), "template");
    constexpr size_t kMostOutput = 1 << 16;
    chat.set_limits({20'000, kMostOutput});
    chat.set_clock([] { return int64_t{1'700'000'000}; });
    chat.set_special_tokens({{"bos_token", "<s>"}, {"eos_token", "</s>"}});
    if (chat.render(parse_json(messages, "messages")).size() > kMostOutput)
      fuzz::fail("found more output than allowed");
  });
}
