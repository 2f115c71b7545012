#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "train/emoji_world/conversation.h"
#include "train/emoji_world/film.h"

namespace nuri {

enum class FilmTask { tracking, moving, heading };
constexpr int kFilmTasks = 3;
constexpr std::array<std::string_view, kFilmTasks> kFilmTaskNames = {"tracking", "moving", "heading"};

// A question about a film and its answer. Tracking: `turn.boxes` has the object's box in each frame; the others are
// scored as naming is, `turn.names` being what moves, or the one way.
struct FilmTurn {
  FilmTask task = FilmTask::tracking;
  Turn turn;
};

struct FilmQuestionOptions {
  double korean_share = 0.5;
  int objects = 3;  // that are asked for, at most, each in a question for its places and one for its way
};

// All questions, each once and in random order; a pure function of its arguments.
std::vector<FilmTurn> make_film_conversation(const EmojiWorld& world, const Film& film,
                                             const FilmQuestionOptions& options, uint64_t seed, uint64_t index);

// "left", "up left", "nowhere"; "왼쪽", "왼쪽 위", "제자리".
std::string_view heading_name(const Heading& heading, Language language);

// [{"frame": 1, "bbox_2d": [1, 2, 3, 4], "label": "cat"}, ...]: boxes as format_boxes writes them, numbered from 1.
std::string format_frame_boxes(const std::vector<LabelledBox>& boxes);

// How many frames' boxes the answer has: those with the expected label and an IoU of at least 0.5, each compared with
// the box at its own place in the answer.
int count_tracked(const Turn& turn, std::string_view answer);

// Whether an answer is right as a whole: tracking wants every frame's box and no more.
bool is_right(const FilmTurn& turn, std::string_view answer);

// The number of a frame and a name ("3 dog"), which go on at once with the box of that in this frame
// ("12, 30, 44, 61"), or "-" when the film has no such thing; in both languages.
std::vector<Pointing> make_film_pointing(const EmojiWorld& world, const Film& film, int frames, uint64_t seed,
                                         uint64_t index);

}  // namespace nuri
