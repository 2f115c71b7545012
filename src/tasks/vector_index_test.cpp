#include "tasks/vector_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class VectorIndexTest : public testing::Test {
 protected:
  // An index of width 2 with the files a (1, 2) and b (3, 4).
  VectorIndex made() {
    VectorIndex index = VectorIndex::create(folder_, "..", "some-model", "abc", 2);
    index.lock();
    std::vector<std::pair<std::string, IndexedFile>> files{{"a", {10, 100, -1, ""}}, {"b", {20, 200, -1, ""}}};
    index.add(files, std::vector<float>{1, 2, 3, 4});
    return index;
  }
  std::vector<float> row_of(VectorIndex& index, const std::string& path) {
    auto all = index.vectors();
    int64_t row = index.files().at(path).row * index.width();
    return {all.begin() + row, all.begin() + row + index.width()};
  }
  void append(const char* file, const std::string& text) { std::ofstream(folder_ / file, std::ios::app) << text; }
  TestFolder parent_;
  fs::path folder_ = parent_ / "index";
};

TEST_F(VectorIndexTest, KeepsWhatWasAdded) {
  made().add_unreadable("broken.png", {5, 50, -1, "found no picture"});
  VectorIndex index = VectorIndex::open(folder_);
  EXPECT_EQ(index.model(), "some-model");
  EXPECT_EQ(index.fingerprint(), "abc");
  EXPECT_EQ(index.files().size(), 3u);
  EXPECT_EQ(index.files().at("b").modified_ns, 200);
  EXPECT_THAT(row_of(index, "b"), ElementsAre(3, 4));
  EXPECT_EQ(index.files().at("broken.png").row, -1);
  EXPECT_EQ(index.files().at("broken.png").error, "found no picture");
}

TEST_F(VectorIndexTest, TheLastLineCounts) {
  VectorIndex index = made();
  index.remove("a");
  std::vector<std::pair<std::string, IndexedFile>> changed{{"b", {21, 201, -1, ""}}};
  index.add(changed, std::vector<float>{5, 6});
  VectorIndex again = VectorIndex::open(folder_);
  ASSERT_EQ(again.files().size(), 1u);
  EXPECT_EQ(again.files().at("b").size, 21);
  EXPECT_THAT(row_of(again, "b"), ElementsAre(5, 6));
}

// A writer that was killed leaves rows without a line, or half a line; the next one writes over them.
TEST_F(VectorIndexTest, GoesOnBehindTheLastWholeLine) {
  made();
  append("vectors-1.f32", "12345678901");
  append("files-1.jsonl", R"({"path": "c", "size": 1, "mod)");
  VectorIndex index = VectorIndex::open(folder_);
  EXPECT_EQ(index.files().size(), 2u);
  index.lock();
  std::vector<std::pair<std::string, IndexedFile>> more{{"c", {1, 1, -1, ""}}};
  index.add(more, std::vector<float>{7, 8});
  VectorIndex again = VectorIndex::open(folder_);
  EXPECT_EQ(again.files().size(), 3u);
  EXPECT_THAT(row_of(again, "a"), ElementsAre(1, 2));
  EXPECT_THAT(row_of(again, "c"), ElementsAre(7, 8));
}

TEST_F(VectorIndexTest, CompactKeepsTheLiving) {
  VectorIndex index = made();
  for (int i = 0; i < 5; ++i) {
    std::vector<std::pair<std::string, IndexedFile>> changed{{"b", {21 + i, 201, -1, ""}}};
    index.add(changed, std::vector<float>{static_cast<float>(i), 6});
  }
  index.compact();
  EXPECT_EQ(index.vectors().size(), 4u);
  EXPECT_FALSE(fs::exists(folder_ / "vectors-1.f32"));
  std::vector<std::pair<std::string, IndexedFile>> more{{"c", {1, 1, -1, ""}}};
  index.add(more, std::vector<float>{7, 8});
  VectorIndex again = VectorIndex::open(folder_);
  EXPECT_THAT(row_of(again, "a"), ElementsAre(1, 2));
  EXPECT_THAT(row_of(again, "b"), ElementsAre(4, 6));
  EXPECT_THAT(row_of(again, "c"), ElementsAre(7, 8));
}

TEST_F(VectorIndexTest, OneWriterAtATime) {
  VectorIndex first = made();
  VectorIndex second = VectorIndex::open(folder_);
  EXPECT_THAT(message_of([&] { second.lock(); }), HasSubstr("another process writes"));
}

TEST_F(VectorIndexTest, HostileFilesAreRefusedInALine) {
  EXPECT_THAT(message_of([&] { VectorIndex::open(folder_); }), HasSubstr("found no index there"));
  made();
  EXPECT_THAT(message_of([&] { VectorIndex::create(folder_, "..", "m", "f", 2); }),
              HasSubstr("found an index there already"));
  append("files-1.jsonl", "{\"path\": \"c\", \"size\": 1, \"modified\": 1, \"row\": 7}\n");
  EXPECT_THAT(message_of([&] { VectorIndex::open(folder_); }), HasSubstr("expected at least 8 rows of 2"));
  append("files-1.jsonl", "[1, 2\n");
  EXPECT_THAT(message_of([&] { VectorIndex::open(folder_); }), HasSubstr("files-1.jsonl:4"));
}

}  // namespace
}  // namespace nuri
