#include "train/emoji_world/layout.h"

#include <algorithm>
#include <numbers>

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

constexpr double kLeastVisible = 0.85;
constexpr int kPlacings = 24;  // tries for one object before it shrinks

bool allowed_together(const EmojiWorld& world, const std::vector<int>& kinds, int candidate) {
  return std::none_of(kinds.begin(), kinds.end(), [&](int kind) { return world.held_out_pair(kind, candidate); });
}

Extent shifted(const Extent& extent, double x, double y) {
  return {extent.x1 + x, extent.y1 + y, extent.x2 + x, extent.y2 + y};
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

// Whether a thing keeps apart from those before it and from the word, in every moment.
bool fits(const Placing& placing, const Layout& layout, const Motions* motions) {
  const int moments = motions ? motions->moments : 1;
  for (int i = 0; i < moments; ++i) {
    const Placing here = placing_at(placing, i, moments);
    for (const Placing& other : layout.objects) {
      if (overlap(here.extent, placing_at(other, i, moments).extent) > 0.12) return false;
    }
    if (!layout.word) continue;
    const WordPlacing& word = *layout.word;
    const Extent box{word.x - 1.0, word.y - 1.0, word.x + word.mask.width + 1.0, word.y + word.mask.height + 1.0};
    if (overlap(here.extent, box) > 0) return false;
  }
  return true;
}

// Rest, or one of eight ways: the placing's travel alone.
Placing choose_motion(const Motions& motions, int size, CounterRandom& random) {
  Placing placing;
  if (!random.chance(motions.moving_share)) return placing;
  static constexpr int kWays[][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {-1, -1}, {1, -1}, {-1, 1}, {1, 1}};
  const auto& way = kWays[random.below(std::size(kWays))];
  const double travel = size * random.uniform(motions.least_travel, motions.most_travel);
  placing.travel_x = way[0] * travel, placing.travel_y = way[1] * travel;
  return placing;
}

bool place_object(const EmojiWorld& world, const SceneOptions& options, int count, int kind, const Motions* motions,
                  Layout& layout, CounterRandom& random) {
  const Glyph& glyph = world.objects()[kind].glyph;
  const double longest = std::max(glyph.x2 - glyph.x1, glyph.y2 - glyph.y1);
  // One object may be as large as options.largest; five have 60 % of the range above the smallest less.
  const double range = (options.largest - options.smallest) * (1 - 0.15 * (count - 1));
  double share = options.smallest + range * random.uniform();
  const Placing course = motions ? choose_motion(*motions, options.size, random) : Placing{};
  for (int attempt = 0; attempt < kPlacings; ++attempt) {
    if (attempt % 8 == 7) share = std::max(options.smallest, share * 0.85);
    Placing placing = course;
    placing.object = kind;
    placing.pose.scale = share * options.size / longest;
    placing.pose.radians = random.uniform(-options.turn, options.turn) * std::numbers::pi / 180;
    placing.pose.mirrored = random.chance(0.25);
    const Extent own = extent_of(glyph, placing.pose);
    // All that it passes over.
    const Extent around{own.x1 + std::min(0.0, placing.travel_x), own.y1 + std::min(0.0, placing.travel_y),
                        own.x2 + std::max(0.0, placing.travel_x), own.y2 + std::max(0.0, placing.travel_y)};
    const double free_x = options.size - 2 - (around.x2 - around.x1),
                 free_y = options.size - 2 - (around.y2 - around.y1);
    if (free_x < 0 || free_y < 0) continue;
    placing.pose.x = 1 - around.x1 + random.uniform() * free_x;
    placing.pose.y = 1 - around.y1 + random.uniform() * free_y;
    placing.extent = shifted(own, placing.pose.x, placing.pose.y);
    if (!fits(placing, layout, motions)) continue;
    layout.objects.push_back(placing);
    return true;
  }
  return false;
}

}  // namespace

Placing placing_at(const Placing& placing, int moment, int moments) {
  const double share = moments > 1 ? static_cast<double>(moment) / (moments - 1) : 0;
  Placing there = placing;
  there.pose.x += share * placing.travel_x, there.pose.y += share * placing.travel_y;
  there.extent = shifted(placing.extent, share * placing.travel_x, share * placing.travel_y);
  return there;
}

void check_options(const EmojiWorld& world, const SceneOptions& options) {
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

std::optional<Layout> lay_out(const EmojiWorld& world, const SceneOptions& options, const std::vector<int>& kinds,
                              bool with_word, const Motions* motions, CounterRandom& random) {
  Layout layout;
  if (with_word) layout.word = place_word(world, options, random);
  for (int kind : kinds) {
    if (!place_object(world, options, static_cast<int>(kinds.size()), kind, motions, layout, random))
      return std::nullopt;
  }
  std::stable_sort(layout.objects.begin(), layout.objects.end(), [](const Placing& a, const Placing& b) {
    return a.extent.x1 + a.extent.x2 < b.extent.x1 + b.extent.x2;
  });
  return layout;
}

std::vector<Colour> colours_of(const EmojiWorld& world, const Layout& layout) {
  std::vector<Colour> colours;
  for (const Placing& placing : layout.objects) {
    const uint8_t* mean = world.objects()[placing.object].glyph.mean;
    colours.push_back({float(mean[0]), float(mean[1]), float(mean[2])});
  }
  return colours;
}

Scene empty_scene(int size) {
  Scene scene;
  scene.picture = Image(size, size, 3);
  scene.owner.assign(size_t(size) * size, -1);
  return scene;
}

void draw_objects(const EmojiWorld& world, const std::vector<Placing>& placings, const std::vector<int>& order,
                  Scene& scene) {
  std::vector<int> pixels(placings.size()), seen(placings.size(), 0);
  scene.objects.resize(placings.size());
  for (int i : order) {
    const Placing& placing = placings[i];
    const Drawn drawn = draw_glyph(world.objects()[placing.object].glyph, placing.pose, i, scene.picture, scene.owner);
    scene.objects[i].object = placing.object;
    scene.objects[i].box = drawn.box;
    pixels[i] = drawn.pixels;
  }
  for (int8_t index : scene.owner) {
    if (index >= 0) ++seen[index];
  }
  for (size_t i = 0; i < placings.size(); ++i) {
    scene.objects[i].visible = pixels[i] ? static_cast<float>(seen[i]) / static_cast<float>(pixels[i]) : 0.0f;
  }
}

bool clearly_visible(const Scene& scene) {
  return std::all_of(scene.objects.begin(), scene.objects.end(),
                     [](const PlacedObject& object) { return object.visible >= kLeastVisible; });
}

bool from_left_to_right(const Scene& scene) {
  return std::is_sorted(scene.objects.begin(), scene.objects.end(), [](const PlacedObject& a, const PlacedObject& b) {
    return a.box.centre_x() < b.box.centre_x();
  });
}

}  // namespace nuri
