#pragma once

#include "base/config_reader.h"
#include "train/emoji_world/film.h"
#include "train/emoji_world/film_questions.h"

namespace nuri {

// Films of the emoji world for training, as an objective's [films] table asks for them.
struct FilmSource {
  // Keys: share (of the examples, 0 to 1), pointings, numbered_behind, objects (asked for in a film), korean_share,
  // data (see read_film_options). `size`: as of read_film_options.
  FilmSource(const ConfigReader& table, int size);

  double share = 0.5;
  int pointings = 2;         // of frames for each name
  int numbered_behind = -1;  // the decoder's layer that FrameNumbers teaches; -1: none
  FilmQuestionOptions questions;
  FilmOptions film;
};

// Keys: size, min_objects, max_objects, smallest, largest, turn, min_frames, max_frames, moving_share, least_travel,
// most_travel. `size`: that of the scenes, which holds where the table names none.
FilmOptions read_film_options(const ConfigReader& data, int size);

}  // namespace nuri
