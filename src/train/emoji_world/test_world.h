#pragma once

#include "train/emoji_world/world.h"

namespace nuri {

// Loaded once for all tests.
inline const EmojiWorld& test_world() {
  static const EmojiWorld world = EmojiWorld::load();
  return world;
}

}  // namespace nuri
