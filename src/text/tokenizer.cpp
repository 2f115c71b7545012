#include "text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/report.h"
#include "text/added_tokens.h"
#include "text/decoders.h"
#include "text/gguf_tokenizer.h"
#include "text/normalizers.h"
#include "text/post_processors.h"
#include "text/pre_tokenizers.h"
#include "text/tokenizer_model.h"
#include "text/unicode.h"

namespace nuri {

struct Tokenizer::Parts {
  std::unique_ptr<Normalizer> normalizer;  // may be null, as the next two
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<PostProcessor> post_processor;
  std::unique_ptr<TokenizerModel> model;
  std::unique_ptr<Decoder> decoder;
  AddedTokens added;
  bool tracked = false;

  const std::string* token_of(int32_t id) const {
    const std::string* token = added.text_of(id);
    return token != nullptr ? token : model->vocabulary().token_of(id);
  }
  std::optional<int32_t> id_of(std::string_view token) const {
    const auto id = added.id_of(token);
    return id ? id : model->vocabulary().id_of(token);
  }
};

namespace {

void check_version(const Component& root) {
  if (root.has("version") && root.string("version") != "1.0") root.reject("version", "1.0");
}

void read_added_tokens(const Component& root, AddedTokens& added, const Vocabulary& vocabulary,
                       const Normalizer* normalizer) {
  if (!root.has("added_tokens")) return;
  for (size_t i = 0; i < root.list("added_tokens").size(); ++i) {
    const Component component = root.child("added_tokens", i);
    const int64_t id = component.integer("id", 0, kMaxTokenId);
    const AddedToken token = read_added_token(component);
    const int32_t given = added.add(token, vocabulary, normalizer);
    if (given >= 0 && given != id)
      warn(fmt::format("{}: found {}, but the token {} has the id {}", component.where("id"), id,
                       shown_json(Json(token.content)), given));
  }
}

// A special token of tokenizer_config.json: a string, or an object with the flags.
std::optional<AddedToken> config_token(const Component& config, std::string_view key) {
  const Json* value = config.find(key);
  if (value == nullptr) return {};
  AddedToken token;
  if (value->is_string())
    token.content = value->get<std::string>(), token.normalized = false;
  else if (value->is_object())
    token = read_added_token(config.child(key));
  else
    return {};
  token.special = true;
  return token;
}

// The tokens that the reference adds from tokenizer_config.json, in its order.
std::vector<AddedToken> config_tokens(const Component& config, const AddedTokens& added) {
  std::vector<AddedToken> tokens;
  std::set<std::string> named;
  if (config.has("added_tokens_decoder")) {
    const Json& listed = config.at("added_tokens_decoder");
    const Component decoder = config.child("added_tokens_decoder");
    std::vector<std::pair<int64_t, std::string>> keys;
    for (const auto& [key, value] : listed.items()) {
      if (key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos)
        config.fail("added_tokens_decoder", shown_json(Json(key)), "ids as keys");
      keys.emplace_back(std::stoll(key), key);
    }
    std::sort(keys.begin(), keys.end());
    for (const auto& [id, key] : keys) {
      AddedToken token = read_added_token(decoder.child(key));
      const AddedToken* known = added.find(token.content);
      if (known == nullptr || !(*known == token)) tokens.push_back(token);
      named.insert(token.content);
    }
  }
  const auto add_new = [&](std::optional<AddedToken> token) {
    if (!token || token->content.empty() || added.find(token->content) != nullptr) return;
    if (named.insert(token->content).second) tokens.push_back(*token);
  };
  for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    add_new(config_token(config, key));
  // A model's own named tokens come as an object, further ones as a list.
  for (const bool object : {true, false}) {
    for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
      const Json* values = config.find(key);
      if (values == nullptr || !(object ? values->is_object() : values->is_array())) continue;
      for (const Json& value : *values)
        if (value.is_string()) add_new(AddedToken{value.get<std::string>(), false, false, false, false, true});
    }
  }
  return tokens;
}

}  // namespace

Tokenizer Tokenizer::build(const Json& document, const std::string& file, const Json* config_document,
                           const std::string& config_file) {
  const Component root(document, file, "");
  check_version(root);
  auto parts = std::make_shared<Parts>();
  if (root.has("normalizer")) parts->normalizer = read_normalizer(root.child("normalizer"));
  if (root.has("pre_tokenizer")) parts->pre_tokenizer = read_pre_tokenizer(root.child("pre_tokenizer"));
  if (root.has("post_processor")) parts->post_processor = read_post_processor(root.child("post_processor"));
  parts->decoder = root.has("decoder") ? read_decoder(root.child("decoder")) : joining_decoder();
  parts->model = read_model(root.child("model"));
  parts->tracked = parts->pre_tokenizer && parts->pre_tokenizer->needs_origins();
  const Vocabulary& vocabulary = parts->model->vocabulary();
  read_added_tokens(root, parts->added, vocabulary, parts->normalizer.get());
  if (config_document != nullptr) {
    const Component config(*config_document, config_file, "");
    for (const AddedToken& token : config_tokens(config, parts->added))
      parts->added.add(token, vocabulary, parts->normalizer.get());
  }
  parts->added.build();
  return Tokenizer(std::move(parts));
}

Tokenizer Tokenizer::from_json(const Json& document, std::string file) { return build(document, file, nullptr, ""); }

Tokenizer Tokenizer::from_folder(const std::filesystem::path& folder) {
  if (is_gguf_file(folder)) return from_json(gguf_tokenizer(GgufFile(folder).metadata()), folder.string());
  const std::filesystem::path file = folder / "tokenizer.json", config_file = folder / "tokenizer_config.json";
  const Json document = read_json_file(file);
  if (!std::filesystem::exists(config_file)) return build(document, file.string(), nullptr, "");
  const Json config = read_json_file(config_file);
  return build(document, file.string(), &config, config_file.string());
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  const Parts& parts = *parts_;
  std::vector<Piece> pieces;
  pieces.push_back({AlignedText(valid_utf8(text), parts.tracked), {}});
  parts.added.split(pieces, false);
  if (parts.normalizer)
    for (Piece& piece : pieces)
      if (!piece.id) parts.normalizer->apply(piece.text);
  parts.added.split(pieces, true);
  if (parts.pre_tokenizer) parts.pre_tokenizer->apply(pieces);
  std::vector<int32_t> ids;
  for (const Piece& piece : pieces) {
    if (piece.id)
      ids.push_back(*piece.id);
    else
      parts.model->encode(piece.text.text(), ids);
  }
  if (!parts.post_processor) return ids;
  PostProcessor::Parts lists;
  lists.push_back(std::move(ids));
  std::vector<int32_t> all;
  for (const auto& list : parts.post_processor->apply(std::move(lists), add_special))
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  StreamDecoder decoder(*this, skip_special);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text += decoder.finish();
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const { return parts_->id_of(token); }

std::string Tokenizer::token_of(int32_t id) const {
  const std::string* token = parts_->token_of(id);
  return token == nullptr ? "" : *token;
}

bool Tokenizer::is_special(int32_t id) const {
  const std::string* token = parts_->token_of(id);
  return token != nullptr && parts_->added.is_special(*token);
}

int64_t Tokenizer::vocab_size() const { return std::max(parts_->model->vocabulary().id_end(), parts_->added.id_end()); }

// Collects what the last stage gives.
struct StreamDecoder::State : DecodeStage {
  State(const Tokenizer& used, bool skip) : tokenizer(used), skip_special(skip) {
    first = tokenizer.parts_->decoder->start(*this);
  }
  void push(std::string_view chunk, bool) override { text += chunk; }
  void finish() override {}

  Tokenizer tokenizer;
  bool skip_special;
  std::unique_ptr<DecodeStage> first;
  std::string text;
};

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : state_(std::make_unique<State>(tokenizer, skip_special)) {}
StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::push(int32_t id) {
  const auto& parts = *state_->tokenizer.parts_;
  const std::string* token = parts.token_of(id);
  if (token == nullptr || (state_->skip_special && parts.added.is_special(*token))) return "";
  state_->first->push(*token, true);
  return std::exchange(state_->text, {});
}

std::string StreamDecoder::finish() {
  state_->first->finish();
  return std::exchange(state_->text, {});
}

}  // namespace nuri
