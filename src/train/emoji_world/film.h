#pragma once

#include <vector>

#include "train/emoji_world/scene.h"

namespace nuri {

// How many of what, as in scenes, and how it moves.
struct FilmOptions {
  // Larger things than in scenes, each kind once and no words.
  SceneOptions scene = {
      .size = 128, .max_objects = 3, .smallest = 0.32, .largest = 0.55, .word_share = 0, .repeat_share = 0};
  int min_frames = 2, max_frames = 8;
  double moving_share = 0.7;                       // of the objects
  double least_travel = 0.15, most_travel = 0.35;  // shares of the side, along each axis that one moves along
};

// The way that a thing goes: x is -1 for left, 1 for right, y is -1 for up, 1 for down; 0, 0 stands still.
struct Heading {
  int x = 0, y = 0;
  bool moves() const { return x != 0 || y != 0; }
};

// A short film: the same objects in all frames, evenly moving over one background.
struct Film {
  std::vector<Scene> frames;      // `objects` in the same order in all, from left to right in the first
  std::vector<Heading> headings;  // of each object
};

// A pure function of its arguments. What holds for a scene holds for each frame, but for the order of its objects.
// Films 8 n to 8 n + 7 of Split::train have the same number of frames, so that a batch of them needs little padding.
// Throws Error(usage) for options that make no sense.
Film make_film(const EmojiWorld& world, const FilmOptions& options, Split split, uint64_t seed, uint64_t index);

}  // namespace nuri
