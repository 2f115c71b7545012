#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "train/emoji_world/draw.h"
#include "train/emoji_world/fonts.h"
#include "train/emoji_world/scene.h"

namespace nuri {

// What the makers of scenes and films share: where things go, before anything is drawn.

constexpr int kLayouts = 12;  // tries for a layout before it loses an object

// A thing at the first moment, and how far it travels until the last.
struct Placing {
  int object = 0;
  Pose pose = {};
  Extent extent = {};  // in the picture
  double travel_x = 0, travel_y = 0;
};
// The same at moment 0 to `moments` - 1, between which it moves evenly.
Placing placing_at(const Placing& placing, int moment, int moments);

struct WordPlacing {
  std::string text;
  Language language;
  WordMask mask;
  int x, y;
};

struct Layout {
  std::vector<Placing> objects;  // from left to right at the first moment
  std::optional<WordPlacing> word;
};

// How things move: each by chance, one of eight ways.
struct Motions {
  int moments;
  double moving_share;
  double least_travel, most_travel;  // shares of the picture's side, along each axis that it moves along
};

// Throws Error(usage) for options that make no sense.
void check_options(const EmojiWorld& world, const SceneOptions& options);

// Kinds of objects for a picture; those of Split::train are of no held-out pair.
std::vector<int> choose_kinds(const EmojiWorld& world, const SceneOptions& options, Split split, int count,
                              CounterRandom& random);

// Places for all kinds, wholly inside and hardly overlapping in every moment, or nothing when chance found none.
// Without motions, all stand still.
std::optional<Layout> lay_out(const EmojiWorld& world, const SceneOptions& options, const std::vector<int>& kinds,
                              bool with_word, const Motions* motions, CounterRandom& random);

// The objects' mean colours, from which a background keeps away.
std::vector<Colour> colours_of(const EmojiWorld& world, const Layout& layout);

// A picture of size x size without anything.
Scene empty_scene(int size);

// Draws over the scene's picture, the objects in `order` of their indices, and fills in `objects` and `owner`.
void draw_objects(const EmojiWorld& world, const std::vector<Placing>& placings, const std::vector<int>& order,
                  Scene& scene);

// Whether at least 85 % of each object can be seen, and whether the boxes' centres go from left to right.
bool clearly_visible(const Scene& scene);
bool from_left_to_right(const Scene& scene);

}  // namespace nuri
