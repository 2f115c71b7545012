#include "train/emoji_world/scene.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "base/error.h"
#include "base/random.h"
#include "train/emoji_world/background.h"
#include "train/emoji_world/layout.h"

namespace nuri {
namespace {

Colour mean_colour(const Image& picture, const WordPlacing& word) {
  Colour sum{0, 0, 0};
  for (int y = 0; y < word.mask.height; ++y) {
    for (int x = 0; x < word.mask.width; ++x) {
      for (int c = 0; c < 3; ++c) sum[c] += picture.pixels[3 * (size_t(word.y + y) * picture.width + word.x + x) + c];
    }
  }
  for (float& c : sum) c /= static_cast<float>(word.mask.width * word.mask.height);
  return sum;
}

// Any colour whose luminance is far from the ground's.
Colour ink_on(const Colour& ground, CounterRandom& random) {
  const float under = luminance(ground);
  for (int attempt = 0; attempt < 8; ++attempt) {
    Colour ink;
    for (float& c : ink) c = static_cast<float>(random.uniform(0, 255));
    if (std::abs(luminance(ink) - under) >= 110) return ink;
  }
  return under > 127 ? Colour{0, 0, 0} : Colour{255, 255, 255};
}

Scene draw_scene(const EmojiWorld& world, const SceneOptions& options, const Layout& layout, CounterRandom& random) {
  Scene scene = empty_scene(options.size);
  paint_background(scene.picture, colours_of(world, layout), random);
  if (layout.word) {
    const WordPlacing& word = *layout.word;
    const Colour ink = ink_on(mean_colour(scene.picture, word), random);
    scene.word = PlacedWord{word.text, word.language, draw_word(word.mask, word.x, word.y, ink, scene.picture)};
  }
  std::vector<int> order(layout.objects.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  draw_objects(world, layout.objects, order, scene);
  return scene;
}

}  // namespace

Scene make_scene(const EmojiWorld& world, const SceneOptions& options, Split split, uint64_t seed, uint64_t index) {
  check_options(world, options);
  CounterRandom random(seed, 2 * index + (split == Split::held_out ? 1 : 0));
  int count = static_cast<int>(random.between(options.min_objects, options.max_objects));
  bool with_word = random.chance(options.word_share);
  for (int attempt = 1;; ++attempt) {
    const std::vector<int> kinds = choose_kinds(world, options, split, count, random);
    if (const std::optional<Layout> layout = lay_out(world, options, kinds, with_word, nullptr, random)) {
      Scene scene = draw_scene(world, options, *layout, random);
      if (clearly_visible(scene) && from_left_to_right(scene)) return scene;
    }
    if (attempt % kLayouts == 0) {
      if (with_word) {
        with_word = false;
      } else if (count > 1) {
        --count;
      } else {
        throw Error(ErrorKind::internal, "emoji world scene: a single object found no place");
      }
    }
  }
}

std::vector<int> dense_targets(const Scene& scene, int patch) {
  const int size = static_cast<int>(scene.picture.width);
  if (patch < 1 || size % patch != 0) {
    throw Error(ErrorKind::usage,
                fmt::format("emoji world scene: patch: found {}, expected a divisor of {}", patch, size));
  }
  const int side = size / patch, patches = side * side, objects = static_cast<int>(scene.objects.size());
  std::vector<int> covered(size_t(patches) * objects, 0);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const int owner = scene.owner[size_t(y) * size + x];
      if (owner >= 0) ++covered[(size_t(y / patch) * side + x / patch) * objects + owner];
    }
  }
  std::vector<int> targets(patches, -1);
  std::vector<bool> has_patch(objects, false);
  for (int p = 0; p < patches; ++p) {
    const auto first = covered.begin() + ptrdiff_t(p) * objects;
    const auto most = std::max_element(first, first + objects);
    if (*most * 4 < patch * patch) continue;
    targets[p] = static_cast<int>(most - first);
    has_patch[targets[p]] = true;
  }
  for (int i = 0; i < objects; ++i) {
    if (has_patch[i]) continue;
    int best = 0;
    for (int p = 1; p < patches; ++p) {
      if (covered[size_t(p) * objects + i] > covered[size_t(best) * objects + i]) best = p;
    }
    if (covered[size_t(best) * objects + i] > 0) targets[best] = i;
  }
  return targets;
}

}  // namespace nuri
