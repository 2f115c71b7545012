#include "train/objectives/scene_batch.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/parallel.h"

namespace nuri {

SceneOptions read_scene_options(const ConfigReader& data, SceneOptions options) {
  // What fits together, the first scene says.
  auto whole = [&](const char* key, int64_t fallback) {
    constexpr int64_t kMost = 1024;
    int64_t value = data.optional(key, fallback);
    if (value < 1 || value > kMost) data.reject(key, fmt::format("1 to {}", kMost));
    return static_cast<int>(value);
  };
  options.size = whole("size", options.size);
  options.min_objects = whole("min_objects", options.min_objects);
  options.max_objects = whole("max_objects", options.max_objects);
  options.smallest = data.optional("smallest", options.smallest);
  options.largest = data.optional("largest", options.largest);
  options.word_share = data.optional("word_share", options.word_share);
  options.repeat_share = data.optional("repeat_share", options.repeat_share);
  options.turn = data.optional("turn", options.turn);
  return options;
}

std::shared_ptr<const EmojiWorld> shared_emoji_world(bool further) {
  auto load = [](bool more) {
    WorldOptions options;
    options.further = more;
    return std::make_shared<const EmojiWorld>(EmojiWorld::load(options));
  };
  if (further) {
    static const auto larger = load(true);
    return larger;
  }
  static const auto world = load(false);
  return world;
}

SceneSource::SceneSource(const ConfigReader& data, uint64_t seed)
    : world_(shared_emoji_world(data.optional("further_objects", false))),
      options_(read_scene_options(data)),
      seed_(seed) {}

Scene SceneSource::make(uint64_t index) const { return make_scene(*world_, options_, Split::train, seed_, index); }

std::vector<Scene> SceneSource::make(uint64_t first, int64_t count) const {
  std::vector<Scene> scenes(count);
  parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) scenes[i] = make(first + static_cast<uint64_t>(i));
  });
  return scenes;
}

at::Tensor picture_pixels(const std::vector<const Image*>& pictures) {
  std::vector<at::Tensor> all;
  for (const Image* picture : pictures)
    all.push_back(
        at::from_blob(const_cast<uint8_t*>(picture->pixels.data()), {picture->height, picture->width, 3}, at::kByte));
  return (at::stack(all).permute({0, 3, 1, 2}).to(at::kFloat) / 127.5 - 1.0).contiguous();
}

at::Tensor scene_pixels(const std::vector<Scene>& scenes) {
  std::vector<const Image*> pictures;
  for (const auto& scene : scenes) pictures.push_back(&scene.picture);
  return picture_pixels(pictures);
}

}  // namespace nuri
