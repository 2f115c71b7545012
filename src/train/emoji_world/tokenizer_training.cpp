#include "train/emoji_world/tokenizer_training.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/config_reader.h"
#include "base/error.h"
#include "base/file.h"
#include "train/emoji_world/conversation.h"
#include "train/emoji_world/utf8.h"

namespace nuri {
namespace {

// Letters stand apart from spaces, so that a name is one token wherever it stands, and numbers up to 999 together, so
// that a coordinate is one token. Both make names and places something that a small decoder can copy.
constexpr const char* kPieces = R"(\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+ ?|\s*[\r\n]+|\s+)";

constexpr const char* kSpecialTokens[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"};

// ChatML, with the picture where it stands among a message's parts. Several in one message are numbered from 1.
constexpr const char* kChatTemplate =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}"
    "{% set pictures = message['content'] | selectattr('type', 'equalto', 'image') | list | length %}"
    "{% set picture = namespace(number=0) %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{% set picture.number = picture.number + 1 %}"
    "{% if pictures > 1 %}{{ picture.number }}{% endif %}{{ '<image>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

// What may stand behind a name in a Korean sentence (questions.cpp, grammar.cpp).
constexpr const char* kParticles = "은|는|이|가|을|를|과|와|의|에|에는|에서|보다|이라는|라는";

struct MatchDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

std::shared_ptr<void> compiled(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* made = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                                   &error, &offset, nullptr);
  if (!made) throw Error(ErrorKind::internal, "tokenizer training: the pattern does not compile");
  return {made, [](void* code) { pcre2_code_free(static_cast<pcre2_code*>(code)); }};
}

// The words that a particle follows: of each Korean name the last one.
std::set<std::string> last_words(const EmojiWorld& world) {
  std::set<std::string> words;
  for (const WorldObject& object : world.objects()) {
    const std::string& name = object.name(Language::korean);
    words.insert(name.substr(name.rfind(' ') + 1));  // all of it where there is no space
  }
  return words;
}

// GPT-2's printable stand-ins for bytes: printable Latin-1 stands for itself, the others follow from U+0100 on.
std::vector<std::string> byte_letters() {
  std::vector<std::string> letters;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    letters.push_back(encode_utf8(printable ? static_cast<char32_t>(byte) : next++));
  }
  return letters;
}

std::string in_letters(const std::string& bytes) {
  static const std::vector<std::string> letters = byte_letters();
  std::string text;
  for (char c : bytes) text += letters[static_cast<unsigned char>(c)];
  return text;
}

// Conversations of training scenes, and each name by itself, so that a rare one is no more pieces than a common one.
std::vector<std::pair<std::string, int64_t>> corpus(const EmojiWorld& world, const PieceSplitter& split,
                                                    const TokenizerTrainingOptions& options) {
  std::map<std::string, int64_t> words;
  auto count = [&](const std::string& text, int64_t times) {
    for (std::string& piece : split(text)) words[std::move(piece)] += times;
  };
  for (int index = 0; index < options.scenes; ++index) {
    const Scene scene = make_scene(world, {}, Split::train, options.seed, index);
    for (const Turn& turn : make_conversation(world, scene, {}, options.seed, index)) {
      count(turn.question, 1);
      count(turn.answer, 1);
      count("user\nassistant\nsystem\n", 1);
    }
  }
  const int64_t often = std::max(1, options.scenes / 20);
  for (Language language : {Language::english, Language::korean}) {
    for (const WorldObject& object : world.objects()) {
      count(object.name(language), 2 * often);
    }
    for (const std::string& word : world.scene_words(language)) count(word, often / 2);
  }
  return {words.begin(), words.end()};
}

Json special_token(const char* text, bool with_id, int id) {
  Json token;
  if (with_id) token["id"] = id;
  token["content"] = text;
  token["single_word"] = token["lstrip"] = token["rstrip"] = token["normalized"] = false;
  token["special"] = true;
  return token;
}

Json tokenizer_json(const BytePairs& pairs, const std::string& pattern) {
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  Json vocabulary = Json::object(), merges = Json::array(), added = Json::array();
  for (size_t id = 0; id < pairs.tokens.size(); ++id) vocabulary[in_letters(pairs.tokens[id])] = id;
  for (auto [first, second] : pairs.merges) {
    merges.push_back({in_letters(pairs.tokens[first]), in_letters(pairs.tokens[second])});
  }
  for (int i = 0; i < int(std::size(kSpecialTokens)); ++i) {
    added.push_back(special_token(kSpecialTokens[i], true, int(pairs.tokens.size()) + i));
  }
  Json json;
  json["version"] = "1.0";
  json["truncation"] = json["padding"] = nullptr;
  json["added_tokens"] = added;
  json["normalizer"] = {{"type", "NFC"}};
  json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level})}};
  json["post_processor"] = json["decoder"] = byte_level;
  json["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", false},
                   {"vocab", vocabulary},
                   {"merges", merges}};
  return json;
}

Json tokenizer_config(int first_special, bool gives_mask) {
  Json json;
  json["add_prefix_space"] = false;
  Json decoder = Json::object(), names = Json::array();
  for (int i = 0; i < int(std::size(kSpecialTokens)); ++i) {
    decoder[std::to_string(first_special + i)] = special_token(kSpecialTokens[i], false, 0);
    names.push_back(kSpecialTokens[i]);
  }
  json["added_tokens_decoder"] = decoder;
  json["additional_special_tokens"] = names;
  json["bos_token"] = nullptr;
  json["clean_up_tokenization_spaces"] = false;
  json["eos_token"] = "<|im_end|>";
  json["image_token"] = "<image>";
  json["model_max_length"] = 2048;
  if (!gives_mask) json["model_input_names"] = {"input_ids"};
  json["pad_token"] = "<|endoftext|>";
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  json["unk_token"] = nullptr;
  return json;
}

}  // namespace

PieceSplitter::PieceSplitter(const EmojiWorld& world) {
  pattern_ = fmt::format(R"((?<!\p{{L}})(?:{})(?=(?:{})(?!\p{{L}}))|{})", fmt::join(last_words(world), "|"), kParticles,
                         kPieces);
  code_ = compiled(pattern_);
}

std::vector<std::string> PieceSplitter::operator()(const std::string& text) const {
  std::unique_ptr<pcre2_match_data, MatchDeleter> data(pcre2_match_data_create(1, nullptr));
  std::vector<std::string> pieces;
  size_t at = 0;
  while (at < text.size()) {
    const int found = pcre2_match(static_cast<const pcre2_code*>(code_.get()),
                                  reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at, 0, data.get(), nullptr);
    if (found < 0) {
      if (found == PCRE2_ERROR_NOMATCH) break;
      throw Error(ErrorKind::format, "tokenizer training: the corpus is not valid UTF-8");
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    pieces.push_back(text.substr(ends[0], ends[1] - ends[0]));
    at = ends[1];
  }
  return pieces;
}

void write_emoji_tokenizer(const EmojiWorld& world, const TokenizerTrainingOptions& options,
                           const std::filesystem::path& folder) {
  const int specials = static_cast<int>(std::size(kSpecialTokens));
  const PieceSplitter split(world);
  const BytePairs pairs = learn_byte_pairs(corpus(world, split, options), options.vocabulary - specials);
  make_folder(folder);
  write_file_atomically(folder / "tokenizer.json", tokenizer_json(pairs, split.pattern()).dump(1) + "\n");
  write_file_atomically(folder / "tokenizer_config.json",
                        tokenizer_config(static_cast<int>(pairs.tokens.size()), options.gives_mask).dump(2) + "\n");
  write_file_atomically(folder / "chat_template.jinja", kChatTemplate);
}

}  // namespace nuri
