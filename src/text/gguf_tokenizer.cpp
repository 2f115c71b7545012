#include "text/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "text/unicode.h"

namespace nuri {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kBlank = "\xE2\x96\x81";  // U+2581, which stands for a space

// What `tokenizer.ggml.token_type` says of a token.
enum class Kind : int64_t { normal = 1, unknown, control, user_defined, unused, byte };

// The ids that the metadata name, and what transformers calls them.
struct NamedToken {
  const char *key, *name;
};
constexpr std::array kNamed{NamedToken{"bos", "bos_token"},
                            NamedToken{"eos", "eos_token"},
                            NamedToken{"unknown", "unk_token"},
                            NamedToken{"seperator", "sep_token"},
                            NamedToken{"padding", "pad_token"},
                            NamedToken{"cls", "cls_token"},
                            NamedToken{"mask", "mask_token"},
                            NamedToken{"eot", ""},
                            NamedToken{"eom", ""}};

// The patterns that words of byte-level BPE are found by, in llama.cpp's order; each cuts what the one before left.
struct PreTokenizer {
  std::vector<std::string_view> names;
  std::vector<std::string_view> patterns;
  bool ignore_merges = false, adds_bos = false, composes = false;
};
constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
                                     R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
                                     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const PreTokenizer& pre_tokenizer(const GgufMetadata& metadata) {
  static const std::vector<PreTokenizer> kKnown = {
      {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "smaug-bpe"}, {kLlama3}, true, true},
      {{"qwen2", "deepseek-r1-qwen", "megrez"}, {kQwen2}, false, false, true},
      {{"gpt-2"}, {kGpt2}},
      {{"smollm", "starcoder", "refact", "command-r"}, {R"(\p{N})", kGpt2}},
      {{"tekken"}, {kTekken}, true, true},
  };
  constexpr const char* kKey = "tokenizer.ggml.pre";
  const std::string name = metadata.text(kKey).value_or("default");  // as older files, which say nothing
  std::vector<std::string_view> names;
  for (const PreTokenizer& known : kKnown) {
    if (std::ranges::find(known.names, name) != known.names.end()) return known;
    names.insert(names.end(), known.names.begin(), known.names.end());
  }
  metadata.reject(kKey, shown_text(name), fmt::format("one of {}", fmt::join(names, ", ")));
}

// The tokens with what the file says of each.
class TokenList {
 public:
  explicit TokenList(const GgufMetadata& metadata) : metadata(metadata), texts(metadata.texts(kTokens)) {
    if (texts.empty()) metadata.fail(kTokens, "nothing", "the tokens of the vocabulary");
    for (size_t i = 0; i < texts.size(); ++i) add(i);
    read_kinds();
  }

  std::optional<int64_t> id(std::string_view name) const {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
    auto found = metadata.integer(key);
    if (found && (*found < 0 || *found >= static_cast<int64_t>(texts.size())))
      metadata.fail(key, std::to_string(*found), fmt::format("one of {} tokens", texts.size()));
    return found;
  }
  std::string text(int64_t id) const { return std::string(texts[static_cast<size_t>(id)]); }

  // Without a search for each key, which an object of this kind would make.
  Json vocabulary() const {
    Json object = Json::object();
    auto& members = object.get_ref<Json::object_t&>();
    members.reserve(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) members.emplace_back(std::string(texts[i]), i);
    return object;
  }

  Json added() const {
    Json list = Json::array();
    for (size_t i = 0; i < texts.size(); ++i) {
      const bool special = kinds[i] == Kind::control || kinds[i] == Kind::unknown;
      if (!special && kinds[i] != Kind::user_defined) continue;
      list.push_back({{"id", i},
                      {"content", std::string(texts[i])},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", special}});
    }
    return list;
  }

  const GgufMetadata& metadata;
  const std::vector<std::string_view>& texts;
  std::vector<Kind> kinds;
  std::unordered_map<std::string_view, int64_t> ids;

 private:
  void add(size_t i) {
    const std::string_view text = texts[i];
    if (text.empty() || valid_utf8(text) != text)
      metadata.fail(kTokens, fmt::format("\"{}\" as token {}", shown_text(valid_utf8(text)), i), "UTF-8, not empty");
    auto [known, fresh] = ids.emplace(text, static_cast<int64_t>(i));
    if (!fresh)
      metadata.fail(kTokens, fmt::format("{} for both {} and {}", shown_text(text), known->second, i),
                    "each token once");
  }
  void read_kinds() {
    constexpr const char* kKinds = "tokenizer.ggml.token_type";
    kinds.assign(texts.size(), Kind::normal);
    const std::vector<double> told = metadata.numbers(kKinds);
    if (!metadata.has(kKinds)) {  // those that have a name are no words at least
      for (const NamedToken& named : kNamed)
        if (auto known = id(named.key)) kinds[static_cast<size_t>(*known)] = Kind::control;
    } else if (told.size() != texts.size()) {
      metadata.fail(kKinds, fmt::format("{} values", told.size()), fmt::format("{}, one a token", texts.size()));
    }
    for (size_t i = 0; i < told.size(); ++i) {
      if (!(told[i] >= 1 && told[i] <= 6)) metadata.fail(kKinds, fmt::format("{}", told[i]), "1 to 6");
      kinds[i] = static_cast<Kind>(static_cast<int64_t>(told[i]));
    }
  }
};

Json split(std::string_view pattern) {
  return {
      {"type", "Split"}, {"pattern", {{"Regex", std::string(pattern)}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json byte_level() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
}

// What stands around a text: the token in front, the token behind.
Json template_of(const TokenList& tokens, bool bos_by_default) {
  Json single = Json::array(), special = Json::object();
  const auto place = [&](const char* name, const char* flag, bool fallback) {
    auto asked = tokens.metadata.boolean(flag);
    auto id = tokens.id(name);
    if (!asked.value_or(fallback)) return;
    if (!id && asked) tokens.metadata.fail(flag, "true", fmt::format("a tokenizer.ggml.{}_token_id beside it", name));
    if (!id) return;
    const std::string text = tokens.text(*id);
    single.push_back({{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
    special[text] = {{"id", text}, {"ids", {*id}}, {"tokens", {text}}};
  };
  place("bos", "tokenizer.ggml.add_bos_token", bos_by_default);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  place("eos", "tokenizer.ggml.add_eos_token", false);
  if (special.empty()) return nullptr;
  Json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

Json byte_level_bpe(const TokenList& tokens) {
  const PreTokenizer& words = pre_tokenizer(tokens.metadata);
  constexpr const char* kMerges = "tokenizer.ggml.merges";
  if (!tokens.metadata.has(kMerges)) tokens.metadata.fail(kMerges, "nothing", "the merges of byte-level BPE");
  Json merges = Json::array(), steps = Json::array();
  for (std::string_view merge : tokens.metadata.texts(kMerges)) merges.push_back(std::string(merge));
  for (std::string_view pattern : words.patterns) steps.push_back(split(pattern));
  steps.push_back(byte_level());
  Json document = {{"version", "1.0"}, {"added_tokens", tokens.added()}};
  if (words.composes) document["normalizer"] = {{"type", "NFC"}};
  document["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
  document["post_processor"] = template_of(tokens, words.adds_bos);
  document["decoder"] = byte_level();
  document["model"] = {{"type", "BPE"}, {"ignore_merges", words.ignore_merges}};
  document["model"]["vocab"] = tokens.vocabulary();
  document["model"]["merges"] = std::move(merges);
  return document;
}

// A merge of two pieces into one that is a piece too.
struct ScoredMerge {
  double score;
  size_t left_length, right_length;  // in characters
  int64_t left, right, whole;
};

std::vector<ScoredMerge> scored_merges(const TokenList& tokens, const std::vector<double>& scores) {
  std::vector<ScoredMerge> merges;
  const auto piece = [&](std::string_view text) {
    auto found = tokens.ids.find(text);
    const bool normal = found != tokens.ids.end() && tokens.kinds[static_cast<size_t>(found->second)] == Kind::normal;
    return normal ? found->second : int64_t{-1};
  };
  constexpr size_t kLongest = 4096;  // bytes of a piece: each of them may be where it is cut
  for (size_t i = 0; i < tokens.texts.size(); ++i) {
    const std::string_view text = tokens.texts[i];
    if (tokens.kinds[i] != Kind::normal) continue;
    if (text.size() > kLongest)
      tokens.metadata.fail(kTokens, fmt::format("token {} of {} bytes", i, text.size()),
                           fmt::format("at most {}", kLongest));
    const size_t length = count_code_points(text), first = merges.size();
    for (size_t at = utf8_length(text[0]), before = 1; at < text.size(); at += utf8_length(text[at]), ++before)
      if (int64_t left = piece(text.substr(0, at)), right = piece(text.substr(at)); left >= 0 && right >= 0)
        merges.push_back({scores[i], before, length - before, left, right, static_cast<int64_t>(i)});
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(),
              [](const auto& a, const auto& b) { return std::pair(a.left, a.right) < std::pair(b.left, b.right); });
  }
  std::stable_sort(merges.begin(), merges.end(), [](const ScoredMerge& a, const ScoredMerge& b) {
    return std::tuple(a.score, a.left_length, a.right_length) > std::tuple(b.score, b.left_length, b.right_length);
  });
  return merges;
}

Json sentence_piece_model(const TokenList& tokens) {
  constexpr const char* kScores = "tokenizer.ggml.scores";
  const std::vector<double> scores = tokens.metadata.numbers(kScores);
  if (scores.size() != tokens.texts.size())
    tokens.metadata.fail(kScores, fmt::format("{} scores", scores.size()),
                         fmt::format("{}, one a token", tokens.texts.size()));
  if (!std::ranges::all_of(scores, [](double score) { return !std::isnan(score); }))
    tokens.metadata.fail(kScores, "nan", "numbers");
  Json merges = Json::array();
  for (const ScoredMerge& merge : scored_merges(tokens, scores))
    merges.push_back(Json::array({tokens.text(merge.left), tokens.text(merge.right)}));
  auto unknown = std::ranges::find(tokens.kinds, Kind::unknown);
  auto id = tokens.id("unknown");
  if (!id && unknown != tokens.kinds.end()) id = unknown - tokens.kinds.begin();
  Json model = {{"type", "BPE"}, {"fuse_unk", true}, {"byte_fallback", true}, {"ignore_merges", false}};
  if (id) model["unk_token"] = tokens.text(*id);
  model["vocab"] = tokens.vocabulary();
  model["merges"] = std::move(merges);
  return model;
}

Json sentence_piece(const TokenList& tokens) {
  const bool prefix = tokens.metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  const auto replace = [](const char* from, const char* to) {
    return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  Json normalizers = Json::array(), decoders = Json::array({replace(kBlank, " ")});
  if (prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", kBlank}});
  normalizers.push_back(replace(" ", kBlank));
  for (const char* type : {"ByteFallback", "Fuse"}) decoders.push_back({{"type", type}});
  if (prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"version", "1.0"},
          {"added_tokens", tokens.added()},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", normalizers}}},
          {"pre_tokenizer", nullptr},
          {"post_processor", template_of(tokens, true)},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
          {"model", sentence_piece_model(tokens)}};
}

}  // namespace

Json gguf_tokenizer(const GgufMetadata& metadata) {
  constexpr const char* kModel = "tokenizer.ggml.model";
  const std::string model = metadata.text(kModel).value_or("nothing");
  if (model != "gpt2" && model != "llama") metadata.reject(kModel, shown_text(model), "gpt2 or llama");
  const TokenList tokens(metadata);
  return model == "gpt2" ? byte_level_bpe(tokens) : sentence_piece(tokens);
}

Json gguf_special_tokens(const GgufMetadata& metadata) {
  Json special = Json::object();
  const auto& texts = metadata.texts(kTokens);
  for (const NamedToken& named : kNamed) {
    const std::string key = fmt::format("tokenizer.ggml.{}_token_id", named.key);
    auto id = metadata.integer(key);
    if (!id || *named.name == '\0') continue;
    if (*id < 0 || *id >= static_cast<int64_t>(texts.size()))
      metadata.fail(key, std::to_string(*id), fmt::format("one of {} tokens", texts.size()));
    special[named.name] = valid_utf8(texts[static_cast<size_t>(*id)]);
  }
  return special;
}

std::map<std::string, std::string> gguf_chat_templates(const GgufMetadata& metadata) {
  const std::string key = "tokenizer.chat_template";
  std::map<std::string, std::string> found;
  if (auto text = metadata.text(key)) found["default"] = *text;
  for (std::string_view name : metadata.texts("tokenizer.chat_templates"))
    if (auto text = metadata.text(fmt::format("{}.{}", key, name))) found[std::string(name)] = *text;
  return found;
}

}  // namespace nuri
