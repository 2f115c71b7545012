#include "train/emoji_world/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/error.h"
#include "train/emoji_world/grammar.h"
#include "train/emoji_world/score.h"
#include "train/emoji_world/test_world.h"

namespace nuri {
namespace {

constexpr double kClear = 0.12;

struct Place {
  int kind;
  double x, y;  // shares of the side
};

std::vector<Place> places_of(const Scene& scene) {
  std::vector<Place> places;
  for (const PlacedObject& object : scene.objects) {
    places.push_back({object.object, object.box.centre_x() / double(scene.picture.width),
                      object.box.centre_y() / double(scene.picture.height)});
  }
  return places;
}

// How far a lies towards the direction from b.
double towards(const Place& a, const Place& b, const std::string& direction) {
  if (direction == "left") return b.x - a.x;
  if (direction == "right") return a.x - b.x;
  if (direction == "above") return b.y - a.y;
  return a.y - b.y;
}

const Place& only_of_kind(const std::vector<Place>& places, int kind) {
  EXPECT_EQ(std::count_if(places.begin(), places.end(), [&](const Place& p) { return p.kind == kind; }), 1);
  return *std::find_if(places.begin(), places.end(), [&](const Place& p) { return p.kind == kind; });
}

// The kind that answers a relation, worked out from the topic alone.
int answer_by_hand(const std::vector<Place>& places, const std::string& topic) {
  std::istringstream words(topic);
  std::string what, direction;
  words >> what;
  std::vector<std::pair<double, int>> found;
  if (what == "farthest") {
    words >> direction;
    const Place origin{-1, 0, 0};
    for (const Place& p : places) found.emplace_back(-towards(p, origin, direction), p.kind);
  } else {
    int kind = -1;
    words >> kind;
    const Place& from = only_of_kind(places, kind);
    for (const Place& p : places) {
      if (p.kind == kind) continue;
      if (what == "nearest") found.emplace_back(std::hypot(p.x - from.x, p.y - from.y), p.kind);
      if (what != "nearest" && towards(p, from, what) > 0) found.emplace_back(towards(p, from, what), p.kind);
    }
    if (what != "nearest") {
      EXPECT_EQ(found.size(), 1u) << topic;
      EXPECT_GE(found[0].first, kClear);
    }
  }
  std::sort(found.begin(), found.end());
  EXPECT_FALSE(found.empty()) << topic;
  return found.empty() ? -1 : found[0].second;
}

bool yes_by_hand(const EmojiWorld& world, const Scene& scene, const std::string& topic) {
  std::istringstream words(topic);
  std::string what, rest;
  words >> what;
  if (what == "word") return scene.word.has_value();
  const std::vector<Place> places = places_of(scene);
  if (what == "category") {
    words >> rest;
    const Category category = rest == "animal"      ? Category::animal
                              : rest == "fruit"     ? Category::fruit
                              : rest == "vegetable" ? Category::vegetable
                              : rest == "vehicle"   ? Category::vehicle
                                                    : Category::instrument;
    return std::any_of(places.begin(), places.end(),
                       [&](const Place& p) { return world.objects()[p.kind].category == category; });
  }
  int first = -1, second = -1;
  words >> first >> second;
  if (what == "kind") {
    return std::any_of(places.begin(), places.end(), [&](const Place& p) { return p.kind == first; });
  }
  const double away = towards(only_of_kind(places, first), only_of_kind(places, second), what);
  EXPECT_GE(std::abs(away), kClear);
  return away > 0;
}

TEST(EmojiConversation, EveryAnswerIsTrue) {
  const EmojiWorld& world = test_world();
  std::array<int, kTasks> asked{};
  int yes = 0, korean = 0, total = 0;
  for (int index = 0; index < 400; ++index) {
    const Scene scene = make_scene(world, {}, index % 2 ? Split::held_out : Split::train, 2, index);
    const std::vector<Place> places = places_of(scene);
    for (const Turn& turn : make_conversation(world, scene, {}, 2, index)) {
      ++asked[int(turn.task)], ++total, korean += turn.language == Language::korean;
      EXPECT_TRUE(is_right(turn, turn.answer)) << turn.question << " " << turn.answer;
      EXPECT_FALSE(is_right(turn, "")) << turn.question;
      if (turn.task == Task::relations) {
        EXPECT_EQ(turn.answer, world.objects()[answer_by_hand(places, turn.topic)].name(turn.language)) << turn.topic;
      } else if (turn.task == Task::yes_no) {
        EXPECT_EQ(turn.yes, yes_by_hand(world, scene, turn.topic)) << turn.question;
        yes += turn.yes;
      } else if (turn.task == Task::reading) {
        EXPECT_EQ(turn.answer, scene.word->text);
      } else if (turn.task == Task::counting && turn.topic == "all") {
        EXPECT_EQ(turn.answer, std::to_string(scene.objects.size()));
      } else if (turn.task == Task::boxes && turn.topic == "all") {
        EXPECT_EQ(turn.boxes.size(), scene.objects.size());
      }
    }
  }
  for (int task = 0; task < kTasks; ++task) EXPECT_GT(asked[task], 100) << kTaskNames[task];
  EXPECT_NEAR(double(yes) / asked[int(Task::yes_no)], 0.5, 0.1);
  EXPECT_NEAR(double(korean) / total, 0.5, 0.06);
  EXPECT_GT(total, 400 * 8);
}

TEST(EmojiConversation, IsAPureFunctionAndHeedsItsOptions) {
  const EmojiWorld& world = test_world();
  const Scene scene = make_scene(world, {}, Split::train, 1, 7);
  ConversationOptions options;
  options.weights = {1, 0, 0, 0, 0, 0, 0};
  options.korean_share = 1;
  options.synonym_share = 0;
  for (const Turn& turn : make_conversation(world, scene, options, 1, 7)) {
    EXPECT_EQ(turn.task, Task::naming);
    EXPECT_EQ(turn.language, Language::korean);
  }
  const auto a = make_conversation(world, scene, {}, 1, 7), b = make_conversation(world, scene, {}, 1, 7);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].question + a[i].answer, b[i].question + b[i].answer);
  options.min_turns = 0;
  EXPECT_THROW(make_conversation(world, scene, options, 1, 7), Error);
  options.min_turns = 1;
  options.weights = {};
  EXPECT_THROW(make_conversation(world, scene, options, 1, 7), Error);
}

TEST(EmojiGrammar, English) {
  EXPECT_EQ(with_article("owl"), "an owl");
  EXPECT_EQ(with_article("unicorn"), "a unicorn");
  EXPECT_EQ(with_article("hourglass"), "an hourglass");
  EXPECT_EQ(with_article("grapes"), "grapes");
  EXPECT_EQ(plural_of("cherry blossom"), "cherry blossoms");
  EXPECT_EQ(plural_of("bus"), "buses");
  EXPECT_EQ(plural_of("strawberry"), "strawberries");
  EXPECT_EQ(plural_of("monkey"), "monkeys");
  EXPECT_EQ(plural_of("mouse"), "mice");
  EXPECT_EQ(fill_phrase("Where {x:be} the {x}?", {{'x', "socks"}}), "Where are the socks?");
}

TEST(EmojiGrammar, KoreanParticlesFollowTheLastSyllable) {
  EXPECT_EQ(with_particle("고양이", "은"), "고양이는");
  EXPECT_EQ(with_particle("빵", "은"), "빵은");
  EXPECT_EQ(with_particle("사과", "을"), "사과를");
  EXPECT_EQ(with_particle("곰", "이"), "곰이");
  EXPECT_EQ(fill_phrase("{x:이} {y}보다 {d}에 있나요?", {{'x', "개"}, {'y', "말"}, {'d', "왼쪽"}}),
            "개가 말보다 왼쪽에 있나요?");
  EXPECT_THROW(with_particle("곰", "으로"), Error);
}

Turn turn_of(Task task, Language language = Language::english) {
  Turn turn;
  turn.task = task, turn.language = language;
  return turn;
}

TEST(EmojiScore, NamesCountAsOftenAsTheyStand) {
  Turn turn = turn_of(Task::naming);
  turn.names = {"cat", "hot dog", "cat"};
  EXPECT_TRUE(is_right(turn, "hot dog, cat, cat"));
  EXPECT_TRUE(is_right(turn, " Cat, Hot dog, cat.\n"));
  EXPECT_FALSE(is_right(turn, "cat, hot dog"));
  EXPECT_FALSE(is_right(turn, "cat, hot dog, cat, cat"));
  EXPECT_FALSE(is_right(turn, "cat, dog, cat"));
}

TEST(EmojiScore, OneNumberOneWord) {
  Turn count = turn_of(Task::counting);
  count.count = 2;
  EXPECT_TRUE(is_right(count, "2"));
  EXPECT_TRUE(is_right(count, "There are 2."));
  EXPECT_TRUE(is_right(count, "Two."));
  for (const char* wrong : {"", "12", "2 or 3", "many", "99999999999999999999"}) EXPECT_FALSE(is_right(count, wrong));
  Turn yes = turn_of(Task::yes_no, Language::korean);
  yes.yes = true;
  EXPECT_TRUE(is_right(yes, "네."));
  EXPECT_FALSE(is_right(yes, "아니요"));
  EXPECT_FALSE(is_right(yes, "yes"));
  Turn reading = turn_of(Task::reading);
  reading.answer = "open";
  EXPECT_TRUE(is_right(reading, "OPEN"));
  EXPECT_FALSE(is_right(reading, "opens"));
  Turn relation = turn_of(Task::relations);
  relation.names = {"cat"};
  EXPECT_TRUE(is_right(relation, "cat"));
  EXPECT_FALSE(is_right(relation, "cat, dog"));
  Turn caption = turn_of(Task::caption);
  caption.names = {"cat"};
  EXPECT_TRUE(is_right(caption, "A cat."));
  EXPECT_FALSE(is_right(caption, format_boxes({{"cat", 0, 0, 20, 20}})));
}

TEST(EmojiScore, EachBoxNeedsItsOwnMatch) {
  Turn turn = turn_of(Task::boxes);
  turn.boxes = {{"cat", 0, 0, 20, 20}, {"cat", 40, 40, 60, 60}};
  EXPECT_TRUE(is_right(turn, format_boxes({{"cat", 41, 41, 60, 60}, {"cat", 0, 2, 20, 20}})));
  EXPECT_FALSE(is_right(turn, format_boxes({{"cat", 0, 0, 20, 20}, {"cat", 0, 0, 20, 20}})));
  EXPECT_FALSE(is_right(turn, format_boxes({{"cat", 0, 0, 20, 20}})));
  EXPECT_FALSE(is_right(turn, format_boxes({{"cat", 0, 0, 20, 20}, {"dog", 40, 40, 60, 60}})));
  EXPECT_FALSE(is_right(turn, format_boxes({{"cat", 0, 0, 20, 20}, {"cat", 50, 50, 70, 70}})));
  EXPECT_FALSE(is_right(turn, "no idea"));
  EXPECT_NEAR(least_iou(turn, format_boxes({{"cat", 0, 0, 20, 20}, {"cat", 40, 40, 60, 50}})), 0.5, 1e-9);
  EXPECT_EQ(least_iou(turn, ""), 0);
}

TEST(EmojiScore, SingleNamesAndBoxes) {
  Turn naming = turn_of(Task::naming);
  naming.names = {"cat", "hot dog", "cat"};
  EXPECT_EQ(score_items(naming, "Cat, dog, hot dog").found, 2);
  EXPECT_EQ(score_items(naming, "cat, cat, cat").found, 2);
  EXPECT_EQ(score_items(naming, "").expected, 3);
  Turn boxes = turn_of(Task::boxes);
  boxes.boxes = {{"cat", 0, 0, 20, 20}, {"cat", 40, 40, 60, 60}};
  EXPECT_EQ(score_items(boxes, format_boxes({{"cat", 0, 0, 20, 20}, {"cat", 0, 0, 20, 20}})).found, 1);
  EXPECT_EQ(score_items(boxes, format_boxes({{"dog", 0, 0, 20, 20}})).found, 0);
  EXPECT_EQ(score_items(turn_of(Task::counting), "2").expected, 0);
}

TEST(EmojiConversation, PointsAtEachNameThatFitsOneObject) {
  const EmojiWorld& world = test_world();
  int boxes = 0, absent = 0;
  for (int index = 0; index < 50; ++index) {
    const Scene scene = make_scene(world, {}, Split::train, 2, index);
    const std::vector<Pointing> all = make_pointing(world, scene, 2, index);
    for (const auto& [name, answer] : all) {
      std::string expected = "-";
      for (const PlacedObject& placed : scene.objects) {
        const WorldObject& object = world.objects()[placed.object];
        if (name != object.name(Language::english) && name != object.name(Language::korean)) continue;
        EXPECT_EQ(expected, "-") << name << " stands for two";
        const Box& b = placed.box;
        expected = fmt::format("{}, {}, {}, {}", b.x1, b.y1, b.x2, b.y2);
      }
      EXPECT_EQ(answer, expected) << name;
      ++(answer == "-" ? absent : boxes);
    }
  }
  EXPECT_EQ(absent, 50 * 4);
  EXPECT_GT(boxes, 50 * 2);
}

}  // namespace
}  // namespace nuri
