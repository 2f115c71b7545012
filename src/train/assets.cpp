#include "train/assets.h"

#include <fmt/format.h>

#include "base/file.h"
#include "text/tokenizer.h"
#include "train/emoji_world/tokenizer_training.h"
#include "train/objectives/scene_batch.h"

namespace nuri {

namespace fs = std::filesystem;

namespace {

constexpr const char* kLastFile = "chat_template.jinja";  // of a tokenizer that is written

// But what a killed run may have left half-written (AtomicFile).
std::vector<fs::path> whole_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().find(".part") == std::string::npos) files.push_back(entry.path());
  return files;
}

void train_tokenizer(const ConfigReader& options, const Recipe& recipe, const fs::path& folder) {
  TokenizerTrainingOptions training;
  auto number = [&](const char* key, int64_t least, int fallback) {
    constexpr int64_t kMost = 10'000'000;
    int64_t value = options.optional<int64_t>(key, fallback);
    if (value < least || value > kMost) options.reject(key, fmt::format("{} to {}", least, kMost));
    return static_cast<int>(value);
  };
  constexpr int64_t kBytesAndSpecials = 260;
  training.vocabulary = number("vocabulary", kBytesAndSpecials, training.vocabulary);
  training.scenes = number("scenes", 1, training.scenes);
  training.seed = recipe.seed;
  training.gives_mask = options.optional("attention_mask", training.gives_mask);
  bool further = options.optional("further_objects", false);
  options.refuse_unknown_keys();
  if (!fs::exists(folder / kLastFile)) write_emoji_tokenizer(*shared_emoji_world(further), training, folder);
}

void copy_tokenizer(const ConfigReader& options, const fs::path& folder) {
  fs::path from = options.required<std::string>("from");
  if (!fs::exists(from / "tokenizer.json")) options.reject("from", "a folder with tokenizer.json");
  options.refuse_unknown_keys();
  if (fs::exists(folder / kLastFile)) return;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", kLastFile})
    if (fs::exists(from / name)) write_file_atomically(folder / name, read_file(from / name));
}

// Each as one token behind those that are there, but for those that are among them.
void add_special_tokens(const std::vector<std::string>& tokens, const fs::path& folder) {
  Tokenizer tokenizer = Tokenizer::from_folder(folder);
  fs::path path = folder / "tokenizer.json";
  Json file = read_json_file(path);
  int64_t next = tokenizer.vocab_size();
  for (const std::string& token : tokens) {
    if (tokenizer.id_of(token)) continue;
    Json added = {{"id", next++}, {"content", token}, {"special", true}};
    added["single_word"] = added["lstrip"] = added["rstrip"] = added["normalized"] = false;
    file["added_tokens"].push_back(added);
  }
  if (next > tokenizer.vocab_size()) write_file_atomically(path, file.dump(1) + "\n");
}

// The tokenizer is made once for the recipe and then copied, so that all stages have the same.
void make_tokenizer(const ConfigReader& options, const Recipe& recipe, const fs::path& folder) {
  std::string kind = options.required<std::string>("kind");
  if (kind != "emoji_world" && kind != "model") options.reject("kind", "emoji_world or model");
  auto special = options.optional("special_tokens", std::vector<std::string>{});
  for (const std::string& token : special)
    if (token.empty()) options.reject("special_tokens", "texts of at least one character");
  fs::path shared = recipe.output / "tokenizer";
  make_folder(shared);
  kind == "model" ? copy_tokenizer(options, shared) : train_tokenizer(options, recipe, shared);
  add_special_tokens(special, shared);
  for (const auto& file : whole_files(shared)) write_file_atomically(folder / file.filename(), read_file(file));
}

}  // namespace

fs::path assets_folder(const Recipe& recipe, const Stage& stage) { return recipe.stage_folder(stage) / "assets"; }

std::vector<fs::path> make_assets(const Recipe& recipe, const Stage& stage) {
  fs::path folder = assets_folder(recipe, stage);
  make_folder(folder);
  if (!stage.processor.is_null())
    write_file_atomically(folder / "processor_config.json", stage.processor.dump(2) + "\n");
  if (!stage.generation.is_null())
    write_file_atomically(folder / "generation_config.json", stage.generation.dump(2) + "\n");
  if (recipe.tokenizer) make_tokenizer(*recipe.tokenizer, recipe, folder);
  return whole_files(folder);
}

}  // namespace nuri
