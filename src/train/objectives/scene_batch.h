#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "base/config_reader.h"
#include "train/emoji_world/scene.h"

namespace nuri {

// Scenes of the emoji world for training, as an objective's [data] table asks for them.
class SceneSource {
 public:
  // Keys: size, min_objects, max_objects, smallest, largest, word_share, repeat_share, turn, further_objects.
  SceneSource(const ConfigReader& data, uint64_t seed);

  const EmojiWorld& world() const { return *world_; }
  const SceneOptions& options() const { return options_; }
  uint64_t seed() const { return seed_; }
  Scene make(uint64_t index) const;
  // Scenes [first, first + count) of the training split, made on all threads.
  std::vector<Scene> make(uint64_t first, int64_t count) const;

 private:
  std::shared_ptr<const EmojiWorld> world_;
  SceneOptions options_;
  uint64_t seed_;
};

// `options`: what holds where a key is missing.
SceneOptions read_scene_options(const ConfigReader& data, SceneOptions options = {});

// The emoji world of this machine, loaded once; `further`: see emoji_object_table.
std::shared_ptr<const EmojiWorld> shared_emoji_world(bool further = false);

// Pictures as [B, 3, S, S] in [-1, 1], as SigLIP's processor makes them from pictures of the right size.
at::Tensor picture_pixels(const std::vector<const Image*>& pictures);
at::Tensor scene_pixels(const std::vector<Scene>& scenes);

}  // namespace nuri
