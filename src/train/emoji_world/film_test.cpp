#include "train/emoji_world/film.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "train/emoji_world/film_questions.h"
#include "train/emoji_world/score.h"
#include "train/emoji_world/test_world.h"

namespace nuri {
namespace {

Film film_of(uint64_t seed, uint64_t index, Split split = Split::train) {
  return make_film(test_world(), {}, split, seed, index);
}

TEST(EmojiFilm, IsAPureFunctionOfItsArguments) {
  const Film a = film_of(3, 41), b = film_of(3, 41);
  ASSERT_EQ(a.frames.size(), b.frames.size());
  for (size_t i = 0; i < a.frames.size(); ++i) EXPECT_EQ(a.frames[i].picture.pixels, b.frames[i].picture.pixels);
  for (const Film& other : {film_of(3, 42), film_of(4, 41), film_of(3, 41, Split::held_out)})
    EXPECT_NE(a.frames[0].picture.pixels, other.frames[0].picture.pixels);
}

TEST(EmojiFilm, NumbersOfFramesGoByEights) {
  std::set<size_t> numbers, held_out;
  for (uint64_t group = 0; group < 12; ++group) {
    const size_t frames = film_of(1, 8 * group).frames.size();
    EXPECT_EQ(film_of(1, 8 * group + 7).frames.size(), frames);
    EXPECT_GE(frames, 2u);
    EXPECT_LE(frames, 8u);
    numbers.insert(frames);
    held_out.insert(film_of(1, group, Split::held_out).frames.size());
  }
  EXPECT_GE(numbers.size(), 4u);
  EXPECT_GE(held_out.size(), 4u);
}

TEST(EmojiFilm, BoxesAreTightAndGoTheToldWay) {
  std::set<std::pair<int, int>> ways;
  for (uint64_t index = 0; index < 80; ++index) {
    const Film film = film_of(5, index);
    const Scene &first = film.frames.front(), &last = film.frames.back();
    ASSERT_EQ(film.headings.size(), first.objects.size());
    std::set<int> kinds;
    for (size_t i = 0; i < film.headings.size(); ++i) {
      EXPECT_TRUE(kinds.insert(first.objects[i].object).second);
      for (const Scene& frame : film.frames) {
        ASSERT_EQ(frame.objects.size(), film.headings.size());
        const PlacedObject& object = frame.objects[i];
        EXPECT_EQ(object.object, first.objects[i].object);
        EXPECT_GE(object.visible, 0.85f);
        Box seen{128, 128, 0, 0};
        for (int y = 0; y < 128; ++y) {
          for (int x = 0; x < 128; ++x) {
            if (frame.owner[size_t(y) * 128 + x] != int(i)) continue;
            seen = {std::min(seen.x1, x), std::min(seen.y1, y), std::max(seen.x2, x + 1), std::max(seen.y2, y + 1)};
          }
        }
        if (object.visible == 1.0f) {
          EXPECT_EQ(std::tie(seen.x1, seen.y1, seen.x2, seen.y2),
                    std::tie(object.box.x1, object.box.y1, object.box.x2, object.box.y2));
        }
      }
      const Heading& way = film.headings[i];
      const double x = last.objects[i].box.centre_x() - first.objects[i].box.centre_x(),
                   y = last.objects[i].box.centre_y() - first.objects[i].box.centre_y();
      for (auto [told, moved] : {std::pair(way.x, x), std::pair(way.y, y)}) {
        if (told == 0) {
          EXPECT_NEAR(moved, 0, 1);
        } else {
          EXPECT_GE(told * moved, 0.15 * 128 - 2);
        }
      }
      ways.insert({way.x, way.y});
    }
  }
  EXPECT_EQ(ways.size(), 9u);
}

TEST(EmojiFilm, HeldOutPairsMeetInHeldOutFilmsOnly) {
  auto has_pair = [](const Film& film) {
    for (const PlacedObject& a : film.frames[0].objects) {
      for (const PlacedObject& b : film.frames[0].objects) {
        if (test_world().held_out_pair(a.object, b.object)) return true;
      }
    }
    return false;
  };
  int held_out = 0;
  for (uint64_t index = 0; index < 100; ++index) {
    EXPECT_FALSE(has_pair(film_of(9, index)));
    held_out += has_pair(film_of(9, index, Split::held_out));
  }
  EXPECT_GT(held_out, 10);
}

TEST(EmojiFilm, RefusesOptionsWithoutSense) {
  auto refused = [](auto&& change) {
    FilmOptions options;
    change(options);
    EXPECT_THROW(make_film(test_world(), options, Split::train, 1, 1), Error);
  };
  refused([](FilmOptions& o) { o.min_frames = 1; });
  refused([](FilmOptions& o) { o.max_frames = 1; });
  refused([](FilmOptions& o) { o.max_frames = 1000; });
  refused([](FilmOptions& o) { o.scene.word_share = 0.5; });
  refused([](FilmOptions& o) { o.scene.repeat_share = 0.5; });
  refused([](FilmOptions& o) { o.moving_share = 1.5; });
  refused([](FilmOptions& o) { o.least_travel = 0; });
  refused([](FilmOptions& o) { o.most_travel = 0.8; });
  refused([](FilmOptions& o) { o.scene.size = 8; });
}

TEST(EmojiFilmQuestions, EveryAnswerIsTrueAndParsesBack) {
  const EmojiWorld& world = test_world();
  int korean = 0, total = 0;
  for (uint64_t index = 0; index < 60; ++index) {
    const Film film = film_of(2, index, index % 2 ? Split::held_out : Split::train);
    std::set<std::string> moving, still;
    int asked[kFilmTasks] = {};
    for (const FilmTurn& each : make_film_conversation(world, film, {}, 2, index)) {
      const Turn& turn = each.turn;
      ++asked[int(each.task)], ++total, korean += turn.language == Language::korean;
      EXPECT_TRUE(is_right(each, turn.answer)) << turn.question << " " << turn.answer;
      EXPECT_FALSE(is_right(each, "")) << turn.question;
      if (each.task == FilmTask::moving) {
        std::vector<std::string> names;
        for (size_t i = 0; i < film.headings.size(); ++i)
          if (film.headings[i].moves())
            names.push_back(world.objects()[film.frames[0].objects[i].object].name(turn.language));
        if (names.empty()) names = {turn.language == Language::english ? "nothing" : "없음"};
        EXPECT_EQ(turn.names, names);
        continue;
      }
      const auto object = static_cast<size_t>(turn.topic.back() - '0');
      if (each.task == FilmTask::heading) {
        EXPECT_EQ(turn.answer, heading_name(film.headings[object], turn.language));
        continue;
      }
      const std::vector<LabelledBox> boxes = parse_boxes(turn.answer);
      ASSERT_EQ(boxes.size(), film.frames.size());
      for (size_t i = 0; i < boxes.size(); ++i) {
        const PlacedObject& placed = film.frames[i].objects[object];
        EXPECT_EQ(boxes[i].label, world.objects()[placed.object].name(turn.language));
        EXPECT_EQ(std::tie(boxes[i].x1, boxes[i].x2), std::make_tuple(placed.box.x1, placed.box.x2));
        EXPECT_EQ(std::tie(boxes[i].y1, boxes[i].y2), std::make_tuple(placed.box.y1, placed.box.y2));
      }
    }
    EXPECT_EQ(asked[int(FilmTask::moving)], 1);
    EXPECT_EQ(asked[int(FilmTask::tracking)], asked[int(FilmTask::heading)]);
  }
  EXPECT_NEAR(double(korean) / total, 0.5, 0.1);
}

TEST(EmojiFilmQuestions, HeedTheirOptions) {
  const Film film = film_of(2, 3);
  const FilmQuestionOptions options{.korean_share = 1, .objects = 0};
  const auto turns = make_film_conversation(test_world(), film, options, 2, 3);
  ASSERT_EQ(turns.size(), 1u);
  EXPECT_EQ(turns[0].task, FilmTask::moving);
  EXPECT_EQ(turns[0].turn.language, Language::korean);
  const auto a = make_film_conversation(test_world(), film, {}, 2, 3),
             b = make_film_conversation(test_world(), film, {}, 2, 3);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_EQ(a[i].turn.question + a[i].turn.answer, b[i].turn.question + b[i].turn.answer);
}

TEST(EmojiFilmQuestions, ABoxCountsAtItsOwnFrame) {
  Turn turn;
  turn.task = Task::boxes;
  turn.boxes = {{"cat", 0, 0, 20, 20}, {"cat", 40, 40, 60, 60}, {"cat", 80, 80, 100, 100}};
  const std::vector<LabelledBox>&right = turn.boxes, swapped{right[1], right[0], right[2]};
  EXPECT_EQ(format_frame_boxes({right[0], right[1]}),
            "[{\"frame\": 1, \"bbox_2d\": [0, 0, 20, 20], \"label\": \"cat\"}, "
            "{\"frame\": 2, \"bbox_2d\": [40, 40, 60, 60], \"label\": \"cat\"}]");
  EXPECT_EQ(format_frame_boxes({}), "[]");
  EXPECT_EQ(count_tracked(turn, format_frame_boxes(right)), 3);
  EXPECT_EQ(count_tracked(turn, format_frame_boxes(swapped)), 1);
  EXPECT_EQ(count_tracked(turn, format_frame_boxes({right[0], right[1]})), 2);
  EXPECT_EQ(count_tracked(turn, format_frame_boxes({right[0], {"dog", 40, 40, 60, 60}})), 1);
  EXPECT_EQ(count_tracked(turn, "no idea"), 0);
  const FilmTurn film{FilmTask::tracking, turn};
  EXPECT_TRUE(is_right(film, format_boxes(right)));
  EXPECT_FALSE(is_right(film, format_frame_boxes(swapped)));
  EXPECT_FALSE(is_right(film, format_frame_boxes({right[0], right[1], right[2], right[2]})));
}

TEST(EmojiFilmQuestions, PointingTellsTheFrame) {
  const Film film = film_of(2, 5);
  int boxes = 0, absent = 0;
  for (const auto& [name, answer] : make_film_pointing(test_world(), film, 2, 2, 5)) {
    const size_t space = name.find(' '), frame = std::stoul(name);
    ASSERT_TRUE(frame >= 1 && frame <= film.frames.size()) << name;
    std::string expected = "-";
    for (const PlacedObject& placed : film.frames[frame - 1].objects) {
      const WorldObject& object = test_world().objects()[placed.object];
      for (Language language : {Language::english, Language::korean})
        if (name.substr(space + 1) == object.name(language)) expected = box_numbers(placed.box);
    }
    EXPECT_EQ(answer, expected) << name;
    ++(answer == "-" ? absent : boxes);
  }
  EXPECT_EQ(absent, 2);
  EXPECT_GE(boxes, 4);
  EXPECT_EQ(make_film_pointing(test_world(), film, 6, 2, 5).size(), static_cast<size_t>(3 * boxes + absent));
}

}  // namespace
}  // namespace nuri
