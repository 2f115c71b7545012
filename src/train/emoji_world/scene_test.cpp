#include "train/emoji_world/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "train/emoji_world/test_world.h"

namespace nuri {
namespace {

TEST(EmojiWorld, NamesAreShortAndDistinct) {
  const EmojiWorld& world = test_world();
  EXPECT_GE(world.size(), 250);
  for (Language language : {Language::english, Language::korean}) {
    std::set<std::string> names;
    for (const WorldObject& object : world.objects()) {
      EXPECT_TRUE(names.insert(object.name(language)).second) << object.name(language);
      EXPECT_LE(object.name(language).size(), 18u) << object.name(language);
      EXPECT_FALSE(object.words(language).keywords.empty());
    }
  }
  EXPECT_EQ(world.find("Cat", Language::english), world.find("고양이", Language::korean));
  EXPECT_EQ(world.find("nothing", Language::english), -1);
}

TEST(EmojiWorld, SynonymsMeanOneObject) {
  const EmojiWorld& world = test_world();
  for (Language language : {Language::english, Language::korean}) {
    std::set<std::string> seen;
    for (const WorldObject& object : world.objects()) seen.insert(object.name(language));
    for (const WorldObject& object : world.objects()) {
      for (const std::string& word : object.words(language).synonyms) EXPECT_TRUE(seen.insert(word).second) << word;
    }
  }
}

TEST(EmojiWorld, OnePairInFiftyIsHeldOut) {
  const EmojiWorld& world = test_world();
  size_t held = 0;
  for (int a = 0; a < world.size(); ++a) {
    held += world.held_out_partners(a).size();
    for (int b : world.held_out_partners(a)) EXPECT_TRUE(world.held_out_pair(b, a));
  }
  const double share = double(held) / (double(world.size()) * (world.size() - 1));
  EXPECT_GT(share, 0.015);
  EXPECT_LT(share, 0.025);
}

TEST(EmojiWorld, MissingSourcesAreNamed) {
  WorldOptions options;
  options.emoji_font = "/nowhere/emoji.ttf";
  try {
    EmojiWorld::load(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("fonts-noto-color-emoji"), std::string::npos);
  }
}

TEST(EmojiScene, IsAPureFunctionOfItsArguments) {
  const Scene a = make_scene(test_world(), {}, Split::train, 3, 41),
              b = make_scene(test_world(), {}, Split::train, 3, 41);
  EXPECT_EQ(a.picture.pixels, b.picture.pixels);
  EXPECT_EQ(a.owner, b.owner);
  EXPECT_NE(a.picture.pixels, make_scene(test_world(), {}, Split::train, 3, 42).picture.pixels);
  EXPECT_NE(a.picture.pixels, make_scene(test_world(), {}, Split::train, 4, 41).picture.pixels);
  EXPECT_NE(a.picture.pixels, make_scene(test_world(), {}, Split::held_out, 3, 41).picture.pixels);
}

TEST(EmojiScene, ObjectsAreInsideVisibleAndTightlyBoxed) {
  for (int size : {64, 97, 160, 224}) {
    SceneOptions options;
    options.size = size;
    for (int index = 0; index < 60; ++index) {
      const Scene scene = make_scene(test_world(), options, Split::train, 5, index);
      ASSERT_EQ(scene.picture.pixels.size(), size_t(size) * size * 3);
      ASSERT_GE(scene.objects.size(), 1u);
      ASSERT_LE(scene.objects.size(), 5u);
      for (size_t i = 0; i < scene.objects.size(); ++i) {
        const PlacedObject& object = scene.objects[i];
        EXPECT_GE(object.visible, 0.85f);
        EXPECT_GE(object.box.x1, 0);
        EXPECT_GE(object.box.y1, 0);
        EXPECT_LE(object.box.x2, size);
        EXPECT_LE(object.box.y2, size);
        Box seen{size, size, 0, 0};
        for (int y = 0; y < size; ++y) {
          for (int x = 0; x < size; ++x) {
            if (scene.owner[size_t(y) * size + x] != int(i)) continue;
            seen = {std::min(seen.x1, x), std::min(seen.y1, y), std::max(seen.x2, x + 1), std::max(seen.y2, y + 1)};
          }
        }
        EXPECT_GE(seen.x1, object.box.x1);
        EXPECT_LE(seen.x2, object.box.x2);
        if (object.visible == 1.0f) {
          EXPECT_EQ(std::tie(seen.x1, seen.y1, seen.x2, seen.y2),
                    std::tie(object.box.x1, object.box.y1, object.box.x2, object.box.y2));
        }
        if (i > 0) {
          EXPECT_LE(scene.objects[i - 1].box.centre_x(), object.box.centre_x());
        }
      }
    }
  }
}

TEST(EmojiScene, HeldOutPairsMeetInHeldOutScenesOnly) {
  const EmojiWorld& world = test_world();
  SceneOptions options;
  options.size = 64;
  auto has_pair = [&](const Scene& scene) {
    for (const PlacedObject& a : scene.objects) {
      for (const PlacedObject& b : scene.objects) {
        if (world.held_out_pair(a.object, b.object)) return true;
      }
    }
    return false;
  };
  int held_out = 0;
  for (int index = 0; index < 1000; ++index) {
    ASSERT_FALSE(has_pair(make_scene(world, options, Split::train, 9, index)));
    if (index < 200) held_out += has_pair(make_scene(world, options, Split::held_out, 9, index));
  }
  EXPECT_GT(held_out, 40);
}

TEST(EmojiScene, DenseTargetsNameEveryObject) {
  for (int index = 0; index < 100; ++index) {
    const Scene scene = make_scene(test_world(), {}, Split::train, 6, index);
    for (int patch : {8, 16, 32}) {
      const std::vector<int> targets = dense_targets(scene, patch);
      ASSERT_EQ(targets.size(), size_t(160 / patch) * (160 / patch));
      if (patch == 32) continue;  // so large a patch may hold two small objects
      for (size_t i = 0; i < scene.objects.size(); ++i) {
        EXPECT_NE(std::find(targets.begin(), targets.end(), int(i)), targets.end());
      }
    }
  }
  EXPECT_THROW(dense_targets(make_scene(test_world(), {}, Split::train, 6, 0), 7), Error);
}

TEST(EmojiScene, RefusesOptionsWithoutSense) {
  SceneOptions options;
  options.size = 8;
  EXPECT_THROW(make_scene(test_world(), options, Split::train, 1, 1), Error);
  options = {};
  options.max_objects = 0;
  EXPECT_THROW(make_scene(test_world(), options, Split::train, 1, 1), Error);
}

}  // namespace
}  // namespace nuri
