#include "train/emoji_world/film.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "base/error.h"
#include "base/random.h"
#include "train/emoji_world/background.h"
#include "train/emoji_world/layout.h"

namespace nuri {
namespace {

constexpr uint64_t kStream = 0xF11E5F11E5F11E5Du;  // apart from the scenes' random numbers
constexpr uint64_t kGroup = 8;                     // films with the same number of frames
constexpr int kMostFrames = 64;

void check(const EmojiWorld& world, const FilmOptions& options) {
  auto fail = [](const std::string& message) { throw Error(ErrorKind::usage, "emoji world film: " + message); };
  check_options(world, options.scene);
  if (options.scene.word_share != 0 || options.scene.repeat_share != 0)
    fail("word_share, repeat_share: expected 0, a film has each kind once and no words");
  if (options.min_frames < 2 || options.max_frames < options.min_frames || options.max_frames > kMostFrames)
    fail(fmt::format("frames: found {} to {}, expected 2 to {}", options.min_frames, options.max_frames, kMostFrames));
  if (!(options.moving_share >= 0 && options.moving_share <= 1))
    fail(fmt::format("moving_share: found {}, expected 0 to 1", options.moving_share));
  // Less could not be seen, and more would leave a large thing no place.
  if (!(options.least_travel >= 0.05 && options.most_travel >= options.least_travel &&
        options.most_travel + options.scene.smallest <= 0.9)) {
    fail(fmt::format("travel: found {} to {}, expected 0.05 to {:.2f}, 0.9 less the smallest", options.least_travel,
                     options.most_travel, 0.9 - options.scene.smallest));
  }
}

int sign(double value) { return (value > 0) - (value < 0); }

Film draw_film(const EmojiWorld& world, int size, const Layout& layout, int frames, CounterRandom& random) {
  Film film;
  const Scene ground = [&] {
    Scene scene = empty_scene(size);
    paint_background(scene.picture, colours_of(world, layout), random);
    return scene;
  }();
  std::vector<int> order(layout.objects.size());
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  for (int i = 0; i < frames; ++i) {
    std::vector<Placing> here;
    for (const Placing& placing : layout.objects) here.push_back(placing_at(placing, i, frames));
    film.frames.push_back(ground);
    draw_objects(world, here, order, film.frames.back());
  }
  for (const Placing& placing : layout.objects)
    film.headings.push_back({sign(placing.travel_x), sign(placing.travel_y)});
  return film;
}

}  // namespace

Film make_film(const EmojiWorld& world, const FilmOptions& options, Split split, uint64_t seed, uint64_t index) {
  check(world, options);
  CounterRandom group(seed ^ kStream, split == Split::train ? 2 * (index / kGroup) + 1 : 2 * index);
  const int frames = static_cast<int>(group.between(options.min_frames, options.max_frames));
  const Motions motions{frames, options.moving_share, options.least_travel, options.most_travel};
  CounterRandom random(seed ^ ~kStream, 2 * index + (split == Split::held_out ? 1 : 0));
  int count = static_cast<int>(random.between(options.scene.min_objects, options.scene.max_objects));
  for (int attempt = 1;; ++attempt) {
    const std::vector<int> kinds = choose_kinds(world, options.scene, split, count, random);
    if (const auto layout = lay_out(world, options.scene, kinds, /*with_word=*/false, &motions, random)) {
      Film film = draw_film(world, options.scene.size, *layout, frames, random);
      if (std::all_of(film.frames.begin(), film.frames.end(), clearly_visible) &&
          from_left_to_right(film.frames.front()))
        return film;
    }
    if (attempt % kLayouts != 0) continue;
    if (--count == 0) throw Error(ErrorKind::internal, "emoji world film: a single object found no place");
  }
}

}  // namespace nuri
