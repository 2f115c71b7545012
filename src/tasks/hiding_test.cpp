#include "tasks/hiding.h"

#include <gtest/gtest.h>

#include "base/test_support.h"

namespace nuri {
namespace {

double common(const HiddenPart& a, const HiddenPart& b) {
  auto width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  return a.picture == b.picture && width > 0 && height > 0 ? static_cast<double>(width * height) : 0;
}

double area(const HiddenPart& part) { return static_cast<double>((part.x2 - part.x1) * (part.y2 - part.y1)); }

// Loses 10 times the share of a thing that is hidden.
struct Thing {
  HiddenPart place;
  int64_t asked = 0;

  std::vector<double> operator()(std::span<const HiddenPart> parts) {
    std::vector<double> losses;
    for (const HiddenPart& part : parts) {
      EXPECT_GT(area(part), 0);
      losses.push_back(10 * common(part, place) / area(place));
    }
    asked += static_cast<int64_t>(parts.size());
    return losses;
  }
};

HiddenPart part_of(const ExplainedPart& part) {
  return {static_cast<size_t>(part.picture), std::llround(part.x1), std::llround(part.y1), std::llround(part.x2),
          std::llround(part.y2)};
}

TEST(Hiding, FindsTheThing) {
  std::vector<PictureSize> pictures{{300, 200}, {97, 415}};
  for (const HiddenPart& place : {HiddenPart{0, 20, 30, 80, 70}, HiddenPart{0, 250, 150, 300, 200},
                                  HiddenPart{1, 40, 300, 90, 340}, HiddenPart{1, 0, 0, 97, 100}}) {
    Thing thing{place};
    HidingResult found = find_by_hiding(pictures, 200, std::ref(thing));
    EXPECT_LE(thing.asked, 200);
    ASSERT_FALSE(found.regions.empty());
    HiddenPart region = part_of(found.regions.front());
    EXPECT_EQ(region.picture, place.picture);
    EXPECT_GT(common(region, place), 0.5 * area(place));
    EXPECT_GT(common(region, place), 0.25 * area(region));  // as sharp as windows are
    EXPECT_NEAR(found.regions.front().strength, 10 * common(region, place) / area(place), 1e-9);
    auto strongest = std::max_element(found.cells.begin(), found.cells.end(),
                                      [](const auto& a, const auto& b) { return a.strength < b.strength; });
    EXPECT_GT(common(part_of(*strongest), place), 0);
  }
}

TEST(Hiding, CellsCoverEachPictureOnce) {
  for (PictureSize size : {PictureSize{1, 1}, {1, 500}, {500, 1}, {2, 3}, {64, 64}, {333, 57}, {3, 10000}}) {
    Thing thing{{0, 0, 0, std::max<int64_t>(1, size.width / 3), std::max<int64_t>(1, size.height / 2)}};
    HidingResult found = find_by_hiding(std::span(&size, 1), 100, std::ref(thing));
    EXPECT_LE(thing.asked, 100);
    double sum = 0;
    for (size_t i = 0; i < found.cells.size(); ++i) {
      HiddenPart cell = part_of(found.cells[i]);
      EXPECT_GT(area(cell), 0);
      sum += area(cell);
      for (size_t j = 0; j < i; ++j) EXPECT_EQ(common(cell, part_of(found.cells[j])), 0);
    }
    EXPECT_EQ(sum, static_cast<double>(size.width * size.height));
  }
}

TEST(Hiding, NothingStandsOutWhereNothingIsLost) {
  PictureSize size{100, 100};
  for (double loss : {0.0, -1.0}) {
    HidingResult found = find_by_hiding(
        {&size, 1}, 64, [&](std::span<const HiddenPart> parts) { return std::vector<double>(parts.size(), loss); });
    EXPECT_TRUE(found.regions.empty());
    for (const auto& cell : found.cells) EXPECT_EQ(cell.strength, loss);
  }
}

TEST(Hiding, FewHidingsLookAtAllOfEveryPicture) {
  std::vector<PictureSize> pictures(7, {50, 40});
  Thing thing{{6, 10, 10, 30, 30}};
  EXPECT_EQ(part_of(find_by_hiding(pictures, fewest_hidings(7), std::ref(thing)).regions.at(0)).picture, 6u);
  EXPECT_LE(thing.asked, fewest_hidings(7));
  EXPECT_NE(message_of([&] { find_by_hiding(pictures, fewest_hidings(7) - 1, std::ref(thing)); }), "no error");
}

}  // namespace
}  // namespace nuri
