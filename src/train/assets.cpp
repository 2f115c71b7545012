#include "train/assets.h"

#include <fmt/format.h>

#include "base/file.h"
#include "train/emoji_world/tokenizer_training.h"
#include "train/objectives/scene_batch.h"

namespace nuri {

namespace fs = std::filesystem;

namespace {

// But what a killed run may have left half-written (AtomicFile).
std::vector<fs::path> whole_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().find(".part") == std::string::npos) files.push_back(entry.path());
  return files;
}

// The tokenizer is trained once for the recipe and then copied, so that all stages have the same.
void make_tokenizer(const ConfigReader& options, const Recipe& recipe, const fs::path& folder) {
  TokenizerTrainingOptions training;
  std::string kind = options.required<std::string>("kind");
  if (kind != "emoji_world") options.reject("kind", "emoji_world");
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
  fs::path shared = recipe.output / "tokenizer";
  if (!fs::exists(shared / "chat_template.jinja")) {
    make_folder(shared);
    write_emoji_tokenizer(*shared_emoji_world(further), training, shared);
  }
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
