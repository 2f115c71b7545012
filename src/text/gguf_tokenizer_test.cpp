#include "text/gguf_tokenizer.h"

#include <gmock/gmock.h>

#include "base/test_support.h"
#include "formats/gguf_test_support.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace nuri {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/gguf";

// Folders whose tokens.json says what the `tokenizers` library makes of texts.
class GgufTokens : public testing::TestWithParam<const char*> {};

TEST_P(GgufTokens, EqualTheReference) {
  const std::filesystem::path folder = kGolden / GetParam();
  const Tokenizer tokenizer = Tokenizer::from_folder(folder / "model.gguf");
  const Json cases = read_json_file(folder / "tokens.json");
  ASSERT_EQ(cases.size(), 30u);
  for (const Json& one : cases) {
    const auto text = one[0].get<std::string>();
    const auto ids = one[1].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << one[0];
    EXPECT_EQ(tokenizer.encode(text, false), one[2].get<std::vector<int32_t>>()) << one[0];
    EXPECT_EQ(tokenizer.decode(ids), one[3].get<std::string>()) << one[0];
  }
}

TEST_P(GgufTokens, ChatsFollowTheTemplate) {
  auto chat = ChatTemplate::from_folder(kGolden / GetParam() / "model.gguf");
  ASSERT_TRUE(chat.has_value());
  const std::string bos = chat->special_tokens().value("bos_token", ""), eos = chat->special_tokens()["eos_token"];
  EXPECT_EQ(chat->render(Json::parse(R"([{"role": "user", "content": "Hello"}])")),
            bos + "[user] Hello" + eos + "\n[assistant]");
}

INSTANTIATE_TEST_SUITE_P(Golden, GgufTokens, testing::Values("llama", "llama_biases", "qwen2"),
                         [](const auto& info) { return std::string(info.param); });

const std::vector<std::string> kPieces{"<unk>",
                                       "<s>",
                                       "</s>",
                                       "<0x0A>",
                                       "a",
                                       "b",
                                       "\xE2\x96\x81",
                                       "ab",
                                       "\xE2\x96\x81"
                                       "a"};
const std::vector<float> kKinds{2, 3, 3, 6, 1, 1, 1, 1, 1};

GgufBuilder pieces(std::vector<float> scores, const std::vector<std::string>& tokens = kPieces) {
  GgufBuilder file;
  file.set("tokenizer.ggml.model", "llama").list("tokenizer.ggml.tokens", tokens);
  file.list("tokenizer.ggml.scores", scores);
  return file.set("tokenizer.ggml.bos_token_id", 1u).set("tokenizer.ggml.eos_token_id", 2u);
}

Tokenizer tokenizer_of(const GgufBuilder& builder) {
  const std::string file = builder.build();
  return Tokenizer::from_json(gguf_tokenizer(parse_gguf(file).metadata), "f");
}

TEST(GgufTokenizer, TheHigherScoreMergesFirst) {
  const auto with = [](float ab, float blank_a) {
    GgufBuilder file = pieces({0, 0, 0, 0, -5, -6, -7, ab, blank_a}).list("tokenizer.ggml.token_type", kKinds);
    return tokenizer_of(file);
  };
  EXPECT_THAT(with(-1, -2).encode("ab"), ElementsAre(1, 6, 7));
  EXPECT_THAT(with(-2, -1).encode("ab"), ElementsAre(1, 8, 5));
  EXPECT_THAT(with(-2, -1).encode("\n?</s>"), ElementsAre(1, 6, 3, 0, 2));
  EXPECT_TRUE(with(-1, -2).is_special(2));
  EXPECT_FALSE(with(-1, -2).is_special(4));
}

TEST(GgufTokenizer, FlagsSayWhatStandsAround) {
  const std::vector<float> scores{0, 0, 0, 0, -5, -6, -7, -1, -2};
  const auto base = [&] { return pieces(scores).list("tokenizer.ggml.token_type", kKinds); };
  EXPECT_THAT(tokenizer_of(base().flag("tokenizer.ggml.add_bos_token", false)).encode("ab"), ElementsAre(6, 7));
  EXPECT_THAT(tokenizer_of(base().flag("tokenizer.ggml.add_eos_token", true)).encode("ab"), ElementsAre(1, 6, 7, 2));
  const Tokenizer plain = tokenizer_of(base().flag("tokenizer.ggml.add_space_prefix", false));
  EXPECT_THAT(plain.encode("ab"), ElementsAre(1, 7));
  EXPECT_EQ(plain.decode(std::vector<int32_t>{8, 7}), " aab");
  EXPECT_EQ(tokenizer_of(base()).decode(std::vector<int32_t>{8, 7}), "aab");
}

std::string refusal(const GgufBuilder& builder) {
  return message_of([&] { tokenizer_of(builder); });
}

TEST(GgufTokenizer, RefusesWhatDoesNotAgree) {
  const std::vector<float> scores(kPieces.size(), 0);
  EXPECT_THAT(refusal(GgufBuilder()), HasSubstr("tokenizer.ggml.model: found nothing, expected gpt2 or llama"));
  EXPECT_THAT(refusal(GgufBuilder().set("tokenizer.ggml.model", "t5")), HasSubstr("found t5"));
  EXPECT_THAT(refusal(GgufBuilder().set("tokenizer.ggml.model", "gpt2")), HasSubstr("tokens: found nothing"));
  EXPECT_THAT(refusal(pieces({1, 2})), HasSubstr("found 2 scores, expected 9, one a token"));
  EXPECT_THAT(refusal(pieces(scores).list("tokenizer.ggml.token_type", std::vector<float>{1, 1})),
              HasSubstr("found 2 values, expected 9"));
  EXPECT_THAT(refusal(pieces(scores).list("tokenizer.ggml.token_type", std::vector<float>(9, 7))),
              HasSubstr("found 7, expected 1 to 6"));
  EXPECT_THAT(refusal(pieces({0, 0}, {"a", "a"})), HasSubstr("a for both 0 and 1"));
  EXPECT_THAT(refusal(pieces({0, 0}, {"a", ""})), HasSubstr("as token 1, expected UTF-8, not empty"));
  EXPECT_THAT(refusal(pieces({0, 0}, {"a", "\xFF"})), HasSubstr("as token 1, expected UTF-8"));
  EXPECT_THAT(refusal(pieces({0, 0}, {"a", "b"})), HasSubstr("eos_token_id: found 2, expected one of 2 tokens"));
  GgufBuilder words;
  words.set("tokenizer.ggml.model", "gpt2").list("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab"});
  EXPECT_THAT(refusal(words), HasSubstr("tokenizer.ggml.merges: found nothing"));
  GgufBuilder odd = words;
  EXPECT_THAT(refusal(odd.set("tokenizer.ggml.pre", "odd")),
              HasSubstr("found odd, expected one of default, llama-bpe"));
  GgufBuilder strange = words;
  EXPECT_THAT(refusal(strange.list("tokenizer.ggml.merges", std::vector<std::string>{"a c"})),
              HasSubstr("which is not in the vocabulary"));
  words.list("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  EXPECT_THAT(tokenizer_of(words).encode("ab"), ElementsAre(2));
  EXPECT_THAT(refusal(words.flag("tokenizer.ggml.add_bos_token", true)), HasSubstr("found true, expected a token"));
}

TEST(GgufTokenizer, TemplatesHaveNames) {
  GgufBuilder file;
  file.set("tokenizer.chat_template", "usual").set("tokenizer.chat_template.tool_use", "with tools");
  file.list("tokenizer.chat_templates", std::vector<std::string>{"tool_use", "gone"});
  const std::string bytes = file.build();
  EXPECT_THAT(gguf_chat_templates(parse_gguf(bytes).metadata),
              ElementsAre(testing::Pair("default", "usual"), testing::Pair("tool_use", "with tools")));
}

}  // namespace
}  // namespace nuri
