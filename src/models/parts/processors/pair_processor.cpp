#include "models/parts/processors/pair_processor.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace nuri {
namespace {

// A token of tokenizer_config.json or special_tokens_map.json: a string, or an object with `content`.
std::optional<std::string> special_token(const ConfigReader& config, const char* key) {
  if (!config.has(key)) return {};
  if (config.json().at(key).is_object()) return config.child(key).required<std::string>("content");
  return config.required<std::string>(key);
}

}  // namespace

PairProcessor::PairProcessor(const std::filesystem::path& folder, const TextRule& rule,
                             std::unique_ptr<PictureProcessor> pictures)
    : tokenizer_(Tokenizer::from_folder(folder)), rule_(rule), pictures_(std::move(pictures)) {
  std::optional<std::string> pad;
  auto file = folder / "tokenizer_config.json", map = folder / "special_tokens_map.json";
  if (is_there(file)) {
    ConfigReader config(read_json_file(file), file.string());
    pad = special_token(config, "pad_token");
    std::string side = config.optional<std::string>("padding_side", "right");
    if (side != "right" && side != "left") config.reject("padding_side", "right or left");
    pads_left_ = side == "left";
    auto names = config.optional("model_input_names", std::vector<std::string>{"input_ids", "attention_mask"});
    gives_mask_ = std::find(names.begin(), names.end(), "attention_mask") != names.end();
  }
  if (!pad && is_there(map)) pad = special_token(ConfigReader(read_json_file(map), map.string()), "pad_token");
  if (!pad)
    throw Error(ErrorKind::usage,
                fmt::format("{}: pad_token: found none, expected the token that fills short texts", file.string()));
  auto id = tokenizer_.id_of(*pad);
  if (!id)
    throw Error(ErrorKind::format, fmt::format("{}: pad_token: found {}, expected a token of tokenizer.json",
                                               file.string(), shown_text(*pad)));
  pad_ = *id;
}

std::vector<NamedArray> PairProcessor::texts(std::span<const std::string> texts) const {
  std::vector<std::vector<int32_t>> rows;
  int64_t longest = rule_.pads_to_context ? rule_.context : 0;
  for (const std::string& text : texts) {
    auto& ids = rows.emplace_back(tokenizer_.encode(text, true));
    int64_t length = static_cast<int64_t>(ids.size());
    if (length < 1 || length > rule_.context)
      throw Error(ErrorKind::usage, fmt::format("the text {}: found {} tokens, expected 1 to {}", shown_text(text, 40),
                                                length, rule_.context));
    longest = std::max(longest, length);
  }
  int64_t count = static_cast<int64_t>(rows.size());
  std::vector<int64_t> ids(static_cast<size_t>(count * longest), pad_), mask(ids.size(), 0);
  for (int64_t row = 0; row < count; ++row) {
    const auto& from = rows[static_cast<size_t>(row)];
    int64_t length = static_cast<int64_t>(from.size()), begin = row * longest + (pads_left_ ? longest - length : 0);
    std::copy(from.begin(), from.end(), ids.begin() + begin);
    std::fill_n(mask.begin() + begin, length, 1);
  }
  std::vector<NamedArray> arrays{{"input_ids", {count, longest}, std::move(ids)}};
  if (gives_mask_) arrays.push_back({"attention_mask", {count, longest}, std::move(mask)});
  return arrays;
}

}  // namespace nuri
