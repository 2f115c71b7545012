#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "media/image.h"
#include "train/emoji_world/world.h"

namespace nuri {

enum class Split { train, held_out };

struct SceneOptions {
  int size = 160;  // pixels of a side, 32 to 1024
  int min_objects = 1, max_objects = 5;
  double smallest = 0.18, largest = 0.45;  // an object's longer side before its turn, as a share of `size`
  double word_share = 0.25;                // scenes with a word
  double repeat_share = 0.3;               // scenes of two objects and more in which a kind appears again
  double held_out_pair_share = 0.4;        // held-out scenes of two objects and more with a held-out pair
  double turn = 25;                        // degrees, at most, to either side
};

// Pixels: x1 and y1 are the first inside, x2 and y2 the first outside.
struct Box {
  int x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  double centre_x() const { return (x1 + x2) / 2.0; }
  double centre_y() const { return (y1 + y2) / 2.0; }
  int area() const { return (x2 - x1) * (y2 - y1); }
};

struct PlacedObject {
  int object = 0;     // index into EmojiWorld::objects()
  Box box;            // tight around the object's own opaque pixels, hidden ones too
  float visible = 1;  // share of those pixels that no later object hides
};

struct PlacedWord {
  std::string text;
  Language language = Language::english;
  Box box;  // tight around the ink
};

struct Scene {
  Image picture;                      // RGB, size x size
  std::vector<PlacedObject> objects;  // from left to right by the boxes' centres
  std::optional<PlacedWord> word;
  std::vector<int8_t> owner;  // [size, size]: index into `objects` of the pixel's object, or -1
};

// A pure function of its arguments. Objects lie wholly inside, at least 85 % of each is visible, and no two kinds
// of a held-out pair meet in Split::train. Throws Error(usage) for options that make no sense.
Scene make_scene(const EmojiWorld& world, const SceneOptions& options, Split split, uint64_t seed, uint64_t index);

// For each patch of `patch` x `patch` pixels, row by row, the index into `scene.objects` of the object that covers
// most of it, if that is a quarter or more of the patch, else -1. An object that is too small for that has the
// patch that it covers most. The picture's sides must be multiples of `patch`.
std::vector<int> dense_targets(const Scene& scene, int patch);

}  // namespace nuri
