#include "generate/text.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/report.h"

namespace nuri {
namespace {

// A vocabulary of bytes, as byte-level BPE spells them, two words and a special token.
Tokenizer byte_tokenizer() {
  Json vocabulary = Json::object();
  uint64_t next = 0, beyond = 256;
  for (int byte = 0; byte < 256; ++byte) {
    bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    int code = printable ? byte : static_cast<int>(beyond++);
    std::string letter;
    if (code < 128) {
      letter = static_cast<char>(code);
    } else {
      letter = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    }
    vocabulary[letter] = next++;
  }
  vocabulary["EN"] = next++;
  Json document = {
      {"version", "1.0"},
      {"added_tokens", Json::array({{{"id", 257u},
                                     {"content", "<end>"},
                                     {"single_word", false},
                                     {"lstrip", false},
                                     {"rstrip", false},
                                     {"normalized", false},
                                     {"special", true}}})},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}}},
      {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array({"E N"})}}}};
  return Tokenizer::from_json(document, "test");
}

// Says given ids, one after the other, whatever it is asked.
class Parrot : public CausalLM {
 public:
  explicit Parrot(std::vector<int64_t> ids) : ids_(std::move(ids)) {}
  NamedTensors forward(const NamedTensors&) override { return {}; }
  Limits limits() const override { return {258, 64, 1}; }
  nn::CacheShape cache_shape() const override { return {1, 1, 2}; }
  at::ScalarType dtype() const override { return at::kFloat; }
  at::Device device() const override { return at::kCPU; }
  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    return {{at::zeros({inputs.at("input_ids").size(1), 1})}};
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return at::zeros({ids.size(0), 1}); }
  at::Tensor step(const Step& step, nn::KvCache&) override {
    for (const auto& piece : step.sequences) {
      piece.sequence->reserve(piece.count);
      piece.sequence->advance(piece.count);
    }
    at::Tensor logits = at::zeros({static_cast<int64_t>(step.logit_rows.size()), 258});
    logits.select(1, ids_[said_++ % ids_.size()]).fill_(9);
    return logits;
  }

 private:
  std::vector<int64_t> ids_;
  size_t said_ = 0;
};

std::vector<int64_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  auto ids = tokenizer.encode(text);
  return {ids.begin(), ids.end()};
}

struct Heard {
  TextAnswer answer;
  std::vector<std::string> pieces;
};

Heard listen(std::string_view speech, std::vector<std::string> stops, int64_t max_tokens = 60) {
  Tokenizer tokenizer = byte_tokenizer();
  Parrot parrot(ids_of(tokenizer, speech));
  Engine engine(parrot);
  Heard heard;
  TextRequest request;
  request.request.ids = {1, 2};
  request.request.eos = {257};
  request.request.sampling.greedy = true;
  request.request.sampling.max_tokens = max_tokens;
  request.request.sampling.stop = std::move(stops);
  request.on_text = [&](std::string_view piece) { heard.pieces.emplace_back(piece); };
  heard.answer = generate_text(engine, tokenizer, std::move(request));
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  return heard;
}

TEST(Text, StreamsWholeCharactersUpToTheClosingToken) {
  Heard heard = listen("가🙂b<end>", {});
  EXPECT_EQ(heard.answer.text, "가🙂b");
  EXPECT_EQ(heard.pieces, (std::vector<std::string>{"가", "🙂", "b"}));
  EXPECT_EQ(heard.answer.generation.finish, FinishReason::stop);
  EXPECT_EQ(heard.answer.generation.ids.size(), 3u + 4 + 1 + 1);
}

TEST(Text, StopsBeforeAStringThatSpansTokens) {
  Heard heard = listen("한 ENDless<end>", {"ND"});
  EXPECT_EQ(heard.answer.text, "한 E");
  EXPECT_EQ(heard.answer.generation.finish, FinishReason::stop_string);
  heard = listen("an END<end>", {"ENDs"});
  EXPECT_EQ(heard.answer.text, "an END");
  EXPECT_EQ(heard.answer.generation.finish, FinishReason::stop);
}

TEST(Text, ALimitInsideACharacterShowsWhatCameOfIt) {
  Heard heard = listen("a가", {}, 2);
  EXPECT_EQ(heard.answer.generation.finish, FinishReason::length);
  EXPECT_EQ(heard.answer.text, "a\xEF\xBF\xBD");
}

TEST(Text, AnInterruptKeepsWhatWasSaid) {
  Tokenizer tokenizer = byte_tokenizer();
  Parrot parrot(ids_of(tokenizer, "abc"));
  Engine engine(parrot);
  TextRequest request;
  request.request.ids = {1};
  request.on_text = [](std::string_view piece) {
    if (piece == "b") request_interrupt();
  };
  request.request.sampling.greedy = true;
  TextAnswer answer = generate_text(engine, tokenizer, std::move(request));
  clear_interrupt();
  EXPECT_EQ(answer.text, "ab");
  EXPECT_EQ(answer.generation.finish, FinishReason::interrupted);
}

}  // namespace
}  // namespace nuri
