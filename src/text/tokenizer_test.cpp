#include "text/tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/test_support.h"
#include "text/unicode.h"

namespace nuri {
namespace {

std::filesystem::path golden_folder() {
  return std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/tokenizers";
}

// A small byte-level BPE: bytes, and the merges h+e, l+l, he+ll.
Json small_document() {
  Json vocab = Json::object();
  auto& members = vocab.get_ref<Json::object_t&>();
  for (int c = '!'; c <= '~'; ++c) members.emplace_back(std::string(1, char(c)), c - '!');
  for (const char* token : {"he", "ll", "hell", "Ġ", "ì", "ķ", "Ī"}) members.emplace_back(token, int(members.size()));
  return {{"version", "1.0"},
          {"added_tokens", Json::array({{{"id", 101}, {"content", "<s>"}, {"special", true}}})},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"#version: 0.2", "h e", {"l", "l"}, "he ll"}}}}};
}

Tokenizer tokenizer_with(const std::function<void(Json&)>& change) {
  Json document = small_document();
  change(document);
  return Tokenizer::from_json(document, "t.json");
}

template <class Action>
std::string message_of(Action&& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

std::string stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_EQ(part, valid_utf8(part));
    text += part;
  }
  return text + decoder.finish();
}

class TokenizerGolden : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, GivesWhatTheReferenceGives) {
  const std::string name = GetParam() + ".json";
  const Json golden = read_json_file(golden_folder() / name);
  const auto tokenizer = Tokenizer::from_json(golden.at("tokenizer"), name);
  for (const Json& entry : golden.at("cases")) {
    const auto text = entry[0].get<std::string>();
    const auto ids = entry[1].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.encode(text, false), entry[2].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer.decode(ids), entry[3].get<std::string>());
    EXPECT_EQ(tokenizer.decode(ids, true), entry[4].get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids, false), entry[3].get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids, true), entry[4].get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, TokenizerGolden,
                         testing::Values("gpt2", "roberta", "llama3", "qwen2", "clip", "llama2", "llama2_first", "t5",
                                         "siglip", "unigram_bytes", "bert", "bert_cased", "word_level"),
                         [](const auto& info) { return info.param; });

TEST(Tokenizer, ReadsMergesInBothForms) {
  const auto tokenizer = tokenizer_with([](Json&) {});
  EXPECT_EQ(tokenizer.encode("hello"), (std::vector<int32_t>{96, 'o' - '!'}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<s>hello <s>")), "<s>hello <s>");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<s>hello <s>"), true), "hello ");
  EXPECT_EQ(tokenizer.id_of("hell"), 96);
  EXPECT_EQ(tokenizer.id_of("<s>"), 101);
  EXPECT_EQ(tokenizer.id_of("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer.token_of(96), "hell");
  EXPECT_EQ(tokenizer.token_of(-1), "");
  EXPECT_EQ(tokenizer.token_of(5000), "");
  EXPECT_TRUE(tokenizer.is_special(101));
  EXPECT_FALSE(tokenizer.is_special(96));
  EXPECT_EQ(tokenizer.vocab_size(), 102);
}

TEST(Tokenizer, GivesAddedTokensTheNextFreeId) {
  // The reference gives the next free id, whatever the file says.
  const auto tokenizer = tokenizer_with([](Json& d) { d["added_tokens"][0]["id"] = 500; });
  EXPECT_EQ(tokenizer.id_of("<s>"), 101);
}

TEST(Tokenizer, ReadsBrokenUtf8AsReplacementCharacters) {
  const Json golden = read_json_file(golden_folder() / "qwen2.json");
  const auto tokenizer = Tokenizer::from_json(golden.at("tokenizer"), "qwen2.json");
  EXPECT_EQ(tokenizer.encode("a\xE1\x80 \xFF"), tokenizer.encode("a\uFFFD \uFFFD"));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\xF0\x9F\x98")), "a\uFFFD");
}

TEST(StreamDecoder, HoldsTheBytesOfACharacterBack) {
  const auto tokenizer = tokenizer_with([](Json&) {});
  const std::vector<int32_t> ids = {98, 99, 100};  // the bytes of U+C548
  StreamDecoder decoder(tokenizer, false);
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.push(ids[1]), "");
  EXPECT_EQ(decoder.push(ids[2]), "\uC548");
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.push(tokenizer.encode("h")[0]), "\uFFFDh");
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
}

TEST(StreamDecoder, EqualsDecodeForAnyDecoder) {
  const std::vector<std::string> decoders = {
      R"({"type": "Fuse"})",
      R"({"type": "CTC", "pad_token": "h", "word_delimiter_token": "|", "cleanup": true})",
      R"({"type": "BPEDecoder", "suffix": "l"})",
      R"({"type": "WordPiece", "prefix": "h", "cleanup": true})",
      R"({"type": "Metaspace", "replacement": "e", "prepend_scheme": "first"})",
      R"({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "h", "start": 1, "stop": 2}]})",
      R"({"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "Replace", "pattern": {"Regex": "l+"}, "content": "L"}]})"};
  const std::vector<std::string> expected = {"hhellohellhh", "ello hell|", "", "hello hell h", "", "hellohell", ""};
  for (const auto& text : decoders) {
    const auto tokenizer = tokenizer_with([&](Json& d) { d["decoder"] = parse_json(text, "decoder"); });
    const auto ids = tokenizer.encode("hhello hell.hh");
    EXPECT_EQ(stream(tokenizer, ids, false), tokenizer.decode(ids)) << text;
  }
  const auto stripped = tokenizer_with([&](Json& d) { d["decoder"] = parse_json(decoders[5], "decoder"); });
  EXPECT_EQ(stripped.decode(stripped.encode("hhellohhh")), "helloh");
}

TEST(Tokenizer, TakesNoQuadraticTimeForALongWord) {
  const auto tokenizer = tokenizer_with([](Json&) {});
  std::string word;
  for (int i = 0; i < 300000; ++i) word += "hel"[i % 3];
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer.encode(word).size(), 200000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Tokenizer, ServesSeveralThreads) {
  const Json golden = read_json_file(golden_folder() / "llama3.json");
  const auto tokenizer = Tokenizer::from_json(golden.at("tokenizer"), "llama3.json");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t, copy = tokenizer] {
      for (const Json& entry : golden.at("cases"))
        wrong[t] += copy.encode(entry[0].get<std::string>()) != entry[1].get<std::vector<int32_t>>();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Tokenizer, TakesTokensFromTokenizerConfig) {
  TestFolder folder;
  write_file_atomically(folder / "tokenizer.json", small_document().dump());
  EXPECT_EQ(Tokenizer::from_folder(folder).encode("h").size(), 1u);
  write_file_atomically(folder / "tokenizer_config.json",
                        R"({"add_bos_token": true, "bos_token": "<s>", "add_eos_token": true, "eos_token": "</s>",
                            "added_tokens_decoder": {"102": {"content": "<img>", "special": false,
                            "normalized": false, "lstrip": true, "rstrip": false, "single_word": false}}})");
  const auto tokenizer = Tokenizer::from_folder(folder);
  EXPECT_EQ(tokenizer.encode("h  <img>"), (std::vector<int32_t>{'h' - '!', 102}));
  EXPECT_EQ(tokenizer.encode("h", false).size(), 1u);
  EXPECT_TRUE(tokenizer.is_special(103));
  std::filesystem::remove(folder / "tokenizer.json");
  EXPECT_NE(message_of([&] { Tokenizer::from_folder(folder); }, ErrorKind::usage).find("tokenizer.json"),
            std::string::npos);
}

TEST(TokenizerHostile, NamesTheUnknownComponent) {
  const auto message = [](const char* key, const char* value) {
    return message_of([&] { tokenizer_with([&](Json& d) { d[key] = parse_json(value, "v"); }); },
                      ErrorKind::unsupported);
  };
  EXPECT_EQ(message("normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Magic"}]})"),
            "t.json: normalizer.normalizers[1].type: found \"Magic\", expected one of Sequence, NFC, NFD, NFKC, NFKD, "
            "Lowercase, Strip, StripAccents, Replace, Prepend, BertNormalizer, Nmt, Precompiled, ByteLevel");
  EXPECT_TRUE(
      message("pre_tokenizer", R"({"type": "Magic"})").starts_with("t.json: pre_tokenizer.type: found \"Magic\""));
  EXPECT_TRUE(message("post_processor", R"({"type": "Magic"})").starts_with("t.json: post_processor.type: "));
  EXPECT_TRUE(message("decoder", R"({"type": "Magic"})").starts_with("t.json: decoder.type: found \"Magic\""));
  EXPECT_TRUE(message("model", R"({"type": "Magic"})").starts_with("t.json: model.type: found \"Magic\""));
  EXPECT_TRUE(message("pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "\\p{Nonsense}"},
              "behavior": "Isolated", "invert": false})")
                  .starts_with("t.json: pre_tokenizer.pattern.Regex: "));
  EXPECT_TRUE(message("version", "\"2.0\"").starts_with("t.json: version: found \"2.0\""));
}

TEST(TokenizerHostile, RefusesBrokenFiles) {
  struct Case {
    const char* path;
    const char* value;
    const char* message;  // part of it
  };
  const Case cases[] = {
      {"/model/vocab", R"({"a": -1})", "t.json: model.vocab: found the id -1 of the token \"a\""},
      {"/model/vocab", R"({"a": 99999999999})", "expected an integer between 0 and 16777215"},
      {"/model/vocab", R"({"a": 1, "b": 1})", "the id 1 for both"},
      {"/model/vocab", R"({"a": "x"})", "the id \"x\""},
      {"/model/vocab", R"([1])", "expected an object of tokens and their ids"},
      {"/model/merges", R"(["h"])", "two tokens with a space between"},
      {"/model/merges", R"([["h", "x x"]])", "not in the vocabulary"},
      {"/model/merges", R"(["h !"])", "not in the vocabulary"},
      {"/model/merges", R"([3])", "expected a pair of tokens"},
      {"/model/merges", R"("h e")", "expected a list"},
      {"/model", R"([])", "t.json: model: found [], expected an object"},
      {"/model", R"({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 4})", "model.unk_id: found 4"},
      {"/model", R"({"type": "Unigram", "vocab": [["a"]]})", "a pair of a token and its score"},
      {"/added_tokens", R"({})", "t.json: added_tokens: found {}, expected a list"},
      {"/added_tokens", R"([{"id": 1}])", "added_tokens[0].content: not found"},
      {"/added_tokens", R"([{"id": -4, "content": "a"}])", "added_tokens[0].id: found -4"},
      {"/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "!!!"})", "precompiled_charsmap: "},
      {"/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "//////8="})", "precompiled_charsmap: "},
      {"/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": ""})", "precompiled_charsmap: "},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated"})", "pattern.Regex"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "ab"})", "expected one character"},
      {"/pre_tokenizer", R"({"type": "FixedLength", "length": 0})", "pre_tokenizer.length: found 0"},
      {"/pre_tokenizer", R"({"type": "Metaspace", "replacement": "a", "add_prefix_space": false,
                            "prepend_scheme": "always"})",
       "pre_tokenizer.add_prefix_space"},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}],
                             "pair": [], "special_tokens": {}})",
       "single[0].SpecialToken.id: found \"x\""},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}],
                             "pair": [], "special_tokens": {}})",
       "single: found the sequence B"},
      {"/post_processor", R"({"type": "BertProcessing", "sep": ["a", -1], "cls": ["b", 1]})", "sep: found"},
      {"/decoder", R"({"type": "Strip", "content": " ", "start": -1, "stop": 0})", "decoder.start: found -1"},
  };
  for (const Case& c : cases) {
    const std::string message = message_of(
        [&] { tokenizer_with([&](Json& d) { d[Json::json_pointer(c.path)] = parse_json(c.value, "value"); }); },
        ErrorKind::format);
    EXPECT_NE(message.find(c.message), std::string::npos) << message << "\nexpected: " << c.message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(TokenizerHostile, BoundsRegularExpressions) {
  const auto tokenizer = tokenizer_with([](Json& d) {
    d["pre_tokenizer"] = parse_json(
        R"({"type": "Split", "pattern": {"Regex": "(?:a|a|aa)+$"}, "behavior": "Isolated", "invert": false})", "p");
  });
  const std::string message = message_of([&] { tokenizer.encode(std::string(60, 'a') + "b"); }, ErrorKind::resource);
  EXPECT_TRUE(
      message.starts_with("t.json: pre_tokenizer.pattern.Regex: found a regular expression that takes too many"))
      << message;
  // Long, but simple.
  EXPECT_GT(tokenizer_with([](Json& d) {
              d["pre_tokenizer"] = parse_json(
                  R"({"type": "Split", "pattern": {"Regex": "(?:a|b)+"}, "behavior": "Removed", "invert": false})",
                  "p");
            })
                .encode(std::string(200000, 'a') + "c")
                .size(),
            0u);
}

TEST(TokenizerHostile, BoundsWhatNormalizingMakes) {
  const auto tokenizer = tokenizer_with([](Json& d) {
    Json parts = Json::array();
    for (int i = 0; i < 60; ++i)
      parts.push_back(parse_json(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})", "p"));
    d["normalizer"] = {{"type", "Sequence"}, {"normalizers", parts}};
  });
  EXPECT_NE(message_of([&] { tokenizer.encode("a"); }, ErrorKind::resource).find("grows beyond 4194304 bytes"),
            std::string::npos);
}

TEST(TokenizerHostile, BoundsWhatDecodingMakes) {
  const auto tokenizer = tokenizer_with([](Json& d) {
    Json parts = Json::array();
    for (int i = 0; i < 60; ++i) parts.push_back(parse_json(R"({"type": "BPEDecoder", "suffix": ""})", "p"));
    d["decoder"] = {{"type", "Sequence"}, {"decoders", parts}};
  });
  const std::vector<int32_t> ids = {1, 2};
  EXPECT_NE(message_of([&] { tokenizer.decode(ids); }, ErrorKind::resource).find("4 MiB"), std::string::npos);
}

TEST(TokenizerHostile, SaysWhenTheUnknownTokenIsMissing) {
  for (const char* model :
       {R"({"type": "Unigram", "vocab": [["a", 0.0]]})", R"({"type": "WordLevel", "vocab": {"a": 0}})",
        R"({"type": "WordPiece", "vocab": {"a": 0}})",
        R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"})"}) {
    const auto tokenizer = tokenizer_with([&](Json& d) { d["model"] = parse_json(model, "m"); });
    EXPECT_EQ(tokenizer.encode("a").size(), 1u);
    EXPECT_TRUE(message_of([&] { tokenizer.encode("b"); }, ErrorKind::format).starts_with("t.json: model.unk_"));
  }
}

}  // namespace
}  // namespace nuri
