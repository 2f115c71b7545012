#include "models/llama4/processor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

class Llama4Processor : public testing::Test {
 protected:
  Llama4Processor() {
    const char* tokens[] = {"[UNK]",     "<|image_start|>", "<|patch|>", "<|tile_x_separator|>", "<|tile_y_separator|>",
                            "<|image|>", "<|image_end|>",   "hi"};
    Json added = Json::array(), vocabulary = Json::object();
    for (int id = 0; id < 8; ++id) vocabulary[tokens[id]] = id;
    for (int id = 1; id < 7; ++id)
      added.push_back({{"id", id},
                       {"content", tokens[id]},
                       {"special", true},
                       {"normalized", false},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false}});
    Json model = {{"type", "WordLevel"}, {"unk_token", "[UNK]"}, {"vocab", vocabulary}};
    write("tokenizer.json",
          {{"added_tokens", added}, {"pre_tokenizer", {{"type", "WhitespaceSplit"}}}, {"model", model}});
    write("processor_config.json", {{"patch_size", 2},
                                    {"pixel_shuffle_ratio", 0.5},
                                    {"image_processor", {{"size", {{"height", 4}, {"width", 4}}}}}});
  }
  void write(const char* name, const Json& json) { std::ofstream(folder_ / name) << json; }

  PreparedPrompt prepared(std::string_view text, const std::vector<Image>& pictures) {
    return (*make_llama4_processor(folder_, ConfigReader(Json::object(), "config.json")))(text, pictures, true);
  }

  TestFolder folder_;
};

TEST_F(Llama4Processor, TilesStandInRowsAndTheWholePictureBehindThem) {
  // A tile has four patches, which make one token.
  PreparedPrompt prompt = prepared("hi <|image|> hi <|image|>", {Image(8, 4, 3), Image(4, 4, 3)});
  EXPECT_EQ(prompt.ids, (std::vector<int32_t>{7, 1, 2, 3, 2, 4, 5, 2, 6, 7, 1, 5, 2, 6}));
  ASSERT_EQ(prompt.pictures.arrays.size(), 1u);
  EXPECT_EQ(prompt.pictures.arrays[0].name, "pixel_values");
  EXPECT_EQ(prompt.pictures.arrays[0].shape, (std::vector<int64_t>{4, 3, 4, 4}));
  EXPECT_EQ(prepared("<|image|>", {Image(4, 8, 3)}).ids, (std::vector<int32_t>{1, 2, 4, 2, 4, 5, 2, 6}));
}

TEST_F(Llama4Processor, PlaceholdersAndPicturesAreAsMany) {
  EXPECT_THROW(prepared("hi", {Image(4, 4, 3)}), Error);
  EXPECT_THROW(prepared("<|image|>", {}), Error);
  EXPECT_EQ(prepared("hi hi", {}).ids, (std::vector<int32_t>{7, 7}));
}

}  // namespace
}  // namespace nuri
