#pragma once

#include <string>

#include "train/emoji_world/scene.h"

namespace nuri {

// The names of what is there, from left to right, and the word that is written: `dog, sun, "rain"`.
std::string caption_of(const EmojiWorld& world, const Scene& scene, Language language);

}  // namespace nuri
