#include "train/emoji_world/scene.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <fmt/format.h>

#include "base/error.h"
#include "base/random.h"
#include "train/emoji_world/background.h"
#include "train/emoji_world/draw.h"

namespace nuri {
namespace {

constexpr double kLeastVisible = 0.85;
constexpr int kPlacings = 24;  // tries for one object before it shrinks
constexpr int kLayouts = 12;   // tries for a scene before it loses an object

struct Placing {
  int object;
  Pose pose;
  Extent extent;  // in the picture
};

struct WordPlacing {
  std::string text;
  Language language;
  WordMask mask;
  int x, y;
};

struct Layout {
  std::vector<Placing> objects;
  std::optional<WordPlacing> word;
};

bool allowed_together(const EmojiWorld& world, const std::vector<int>& kinds, int candidate) {
  return std::none_of(kinds.begin(), kinds.end(), [&](int kind) { return world.held_out_pair(kind, candidate); });
}

std::vector<int> choose_kinds(const EmojiWorld& world, const SceneOptions& options, Split split, int count,
                              CounterRandom& random) {
  std::vector<int> kinds;
  if (split == Split::held_out && count > 1 && random.chance(options.held_out_pair_share)) {
    const int first = static_cast<int>(random.below(world.size()));
    const std::vector<int>& partners = world.held_out_partners(first);
    kinds.push_back(first);
    if (!partners.empty()) kinds.push_back(partners[random.below(partners.size())]);
  }
  const bool repeats = count > 1 && random.chance(options.repeat_share);
  while (static_cast<int>(kinds.size()) < count) {
    if (repeats && !kinds.empty() && random.chance(0.5)) {
      kinds.push_back(kinds[random.below(kinds.size())]);
      continue;
    }
    const int kind = static_cast<int>(random.below(world.size()));
    const bool already = std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    if (!already && (split == Split::held_out || allowed_together(world, kinds, kind))) kinds.push_back(kind);
  }
  random.shuffle(kinds);
  return kinds;
}

double overlap(const Extent& a, const Extent& b) {
  const double width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  const double height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  const double smaller = std::min((a.x2 - a.x1) * (a.y2 - a.y1), (b.x2 - b.x1) * (b.y2 - b.y1));
  return width * height / smaller;
}

// A word somewhere in the picture, or nothing when it came out too wide.
std::optional<WordPlacing> place_word(const EmojiWorld& world, const SceneOptions& options, CounterRandom& random) {
  const Language language = random.chance(0.5) ? Language::english : Language::korean;
  const std::vector<std::string>& words = world.scene_words(language);
  WordPlacing word{words[random.below(words.size())], language, {}, 0, 0};
  const double pixels = options.size * random.uniform(0.12, 0.22), turn = random.uniform(-8, 8);
  const bool capitals = random.chance(0.3);
  std::string drawn = word.text;
  if (capitals && language == Language::english) {
    for (char& c : drawn) c = static_cast<char>(c - 'a' + 'A');
  }
  const int font = static_cast<int>(random.below(world.fonts().count(language)));
  word.mask = world.fonts().draw(drawn, language, font, pixels, turn * std::numbers::pi / 180);
  const int free_x = options.size - word.mask.width - 2, free_y = options.size - word.mask.height - 2;
  if (word.mask.width == 0 || word.mask.width > options.size * 3 / 4 || free_x < 0 || free_y < 0) return std::nullopt;
  word.x = 1 + static_cast<int>(random.below(free_x + 1));
  word.y = 1 + static_cast<int>(random.below(free_y + 1));
  return word;
}

bool place_object(const EmojiWorld& world, const SceneOptions& options, int count, int kind, Layout& layout,
                  CounterRandom& random) {
  const Glyph& glyph = world.objects()[kind].glyph;
  const double longest = std::max(glyph.x2 - glyph.x1, glyph.y2 - glyph.y1);
  // One object may be as large as options.largest; five have 60 % of the range above the smallest less.
  const double range = (options.largest - options.smallest) * (1 - 0.15 * (count - 1));
  double share = options.smallest + range * random.uniform();
  for (int attempt = 0; attempt < kPlacings; ++attempt) {
    if (attempt % 8 == 7) share = std::max(options.smallest, share * 0.85);
    Placing placing{kind, {}, {}};
    placing.pose.scale = share * options.size / longest;
    placing.pose.radians = random.uniform(-options.turn, options.turn) * std::numbers::pi / 180;
    placing.pose.mirrored = random.chance(0.25);
    const Extent around = extent_of(glyph, placing.pose);
    const double free_x = options.size - 2 - (around.x2 - around.x1),
                 free_y = options.size - 2 - (around.y2 - around.y1);
    if (free_x < 0 || free_y < 0) continue;
    placing.pose.x = 1 - around.x1 + random.uniform() * free_x;
    placing.pose.y = 1 - around.y1 + random.uniform() * free_y;
    placing.extent = {around.x1 + placing.pose.x, around.y1 + placing.pose.y, around.x2 + placing.pose.x,
                      around.y2 + placing.pose.y};
    bool fits = true;
    for (const Placing& other : layout.objects) fits = fits && overlap(placing.extent, other.extent) <= 0.12;
    if (layout.word) {
      const WordPlacing& word = *layout.word;
      const Extent box{word.x - 1.0, word.y - 1.0, word.x + word.mask.width + 1.0, word.y + word.mask.height + 1.0};
      fits = fits && overlap(placing.extent, box) == 0;
    }
    if (!fits) continue;
    layout.objects.push_back(placing);
    return true;
  }
  return false;
}

std::optional<Layout> lay_out(const EmojiWorld& world, const SceneOptions& options, const std::vector<int>& kinds,
                              bool with_word, CounterRandom& random) {
  Layout layout;
  if (with_word) layout.word = place_word(world, options, random);
  for (int kind : kinds) {
    if (!place_object(world, options, static_cast<int>(kinds.size()), kind, layout, random)) return std::nullopt;
  }
  std::stable_sort(layout.objects.begin(), layout.objects.end(), [](const Placing& a, const Placing& b) {
    return a.extent.x1 + a.extent.x2 < b.extent.x1 + b.extent.x2;
  });
  return layout;
}

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

void count_visible(Scene& scene, const std::vector<int>& pixels) {
  std::vector<int> seen(scene.objects.size(), 0);
  for (int8_t index : scene.owner) {
    if (index >= 0) ++seen[index];
  }
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    scene.objects[i].visible = pixels[i] ? static_cast<float>(seen[i]) / static_cast<float>(pixels[i]) : 0.0f;
  }
}

Scene draw_scene(const EmojiWorld& world, const SceneOptions& options, const Layout& layout, CounterRandom& random) {
  Scene scene;
  scene.picture.width = scene.picture.height = options.size;
  scene.picture.channels = 3;
  scene.picture.pixels.resize(size_t(options.size) * options.size * 3);
  scene.owner.assign(size_t(options.size) * options.size, -1);
  std::vector<Colour> avoid;
  for (const Placing& placing : layout.objects) {
    const uint8_t* mean = world.objects()[placing.object].glyph.mean;
    avoid.push_back({float(mean[0]), float(mean[1]), float(mean[2])});
  }
  paint_background(scene.picture, avoid, random);
  if (layout.word) {
    const WordPlacing& word = *layout.word;
    const Colour ink = ink_on(mean_colour(scene.picture, word), random);
    scene.word = PlacedWord{word.text, word.language, draw_word(word.mask, word.x, word.y, ink, scene.picture)};
  }
  std::vector<int> pixels(layout.objects.size()), order(layout.objects.size());
  scene.objects.resize(layout.objects.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  for (int i : order) {
    const Placing& placing = layout.objects[i];
    const Drawn drawn = draw_glyph(world.objects()[placing.object].glyph, placing.pose, i, scene.picture, scene.owner);
    scene.objects[i].object = placing.object;
    scene.objects[i].box = drawn.box;
    pixels[i] = drawn.pixels;
  }
  count_visible(scene, pixels);
  return scene;
}

void check(const EmojiWorld& world, const SceneOptions& options) {
  auto fail = [](const std::string& message) { throw Error(ErrorKind::usage, "emoji world scene: " + message); };
  if (options.size < 32 || options.size > 1024) fail(fmt::format("size: found {}, expected 32 to 1024", options.size));
  if (options.min_objects < 1 || options.max_objects < options.min_objects || options.max_objects > 9) {
    fail(fmt::format("objects: found {} to {}, expected 1 to 9", options.min_objects, options.max_objects));
  }
  if (!(options.smallest >= 0.1 && options.largest >= options.smallest && options.largest <= 0.7)) {
    fail(fmt::format("an object's share of the side: found {} to {}, expected 0.1 to 0.7", options.smallest,
                     options.largest));
  }
  if (!(options.turn >= 0 && options.turn <= 180)) fail(fmt::format("turn: found {}, expected 0 to 180", options.turn));
  if (world.size() < options.max_objects) fail("the world has fewer kinds than a scene has objects");
}

}  // namespace

Scene make_scene(const EmojiWorld& world, const SceneOptions& options, Split split, uint64_t seed, uint64_t index) {
  check(world, options);
  CounterRandom random(seed, 2 * index + (split == Split::held_out ? 1 : 0));
  int count = static_cast<int>(random.between(options.min_objects, options.max_objects));
  bool with_word = random.chance(options.word_share);
  for (int attempt = 1;; ++attempt) {
    const std::vector<int> kinds = choose_kinds(world, options, split, count, random);
    if (const std::optional<Layout> layout = lay_out(world, options, kinds, with_word, random)) {
      Scene scene = draw_scene(world, options, *layout, random);
      const bool clear = std::all_of(scene.objects.begin(), scene.objects.end(),
                                     [](const PlacedObject& object) { return object.visible >= kLeastVisible; });
      const bool sorted = std::is_sorted(
          scene.objects.begin(), scene.objects.end(),
          [](const PlacedObject& a, const PlacedObject& b) { return a.box.centre_x() < b.box.centre_x(); });
      if (clear && sorted) return scene;
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
