#include "train/objectives/film_source.h"

#include <fmt/format.h>

#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

// What fits together, the first film says.
int whole(const ConfigReader& reader, const char* key, int64_t least, int64_t fallback) {
  constexpr int64_t kMost = 1024;
  int64_t value = reader.optional(key, fallback);
  if (value < least || value > kMost) reader.reject(key, fmt::format("{} to {}", least, kMost));
  return static_cast<int>(value);
}

double share_of(const ConfigReader& reader, const char* key, double fallback) {
  double value = reader.optional(key, fallback);
  if (!(value >= 0 && value <= 1)) reader.reject(key, "0 to 1");
  return value;
}

}  // namespace

FilmOptions read_film_options(const ConfigReader& data, int size) {
  FilmOptions options;
  options.scene.size = size;
  options.scene = read_scene_options(data, options.scene);
  options.min_frames = whole(data, "min_frames", 1, options.min_frames);
  options.max_frames = whole(data, "max_frames", 1, options.max_frames);
  options.moving_share = share_of(data, "moving_share", options.moving_share);
  options.least_travel = data.optional("least_travel", options.least_travel);
  options.most_travel = data.optional("most_travel", options.most_travel);
  return options;
}

FilmSource::FilmSource(const ConfigReader& table, int size) {
  share = share_of(table, "share", share);
  questions.objects = whole(table, "objects", 0, questions.objects);
  pointings = whole(table, "pointings", 0, pointings);
  numbered_behind = table.has("numbered_behind") ? whole(table, "numbered_behind", 0, 0) : -1;
  questions.korean_share = share_of(table, "korean_share", questions.korean_share);
  film = read_film_options(table.child_or_empty("data"), size);
}

}  // namespace nuri
