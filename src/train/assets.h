#pragma once

#include <filesystem>
#include <vector>

#include "train/recipe.h"

namespace nuri {

// The files that lie beside a stage's weights: tokenizer, chat template, processor, generation settings. Made once in
// the stage's `assets` folder -> their paths. The tokenizer is the same for all stages of a recipe; its table
// [tokenizer] has `kind`: "emoji_world", trained (vocabulary, scenes, attention_mask, further_objects), or "model",
// that of the folder `from`; and `special_tokens`, which follow the others.
std::vector<std::filesystem::path> make_assets(const Recipe& recipe, const Stage& stage);
std::filesystem::path assets_folder(const Recipe& recipe, const Stage& stage);

}  // namespace nuri
