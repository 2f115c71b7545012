#include "train/objectives/conversation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/test_support.h"
#include "models/registry.h"
#include "text/chat_template.h"
#include "train/emoji_world/tokenizer_training.h"
#include "train/objectives/film_source.h"
#include "train/objectives/scene_batch.h"
#include "weights/stores.h"

namespace nuri {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(NURI_SOURCE_DIR) / "models/emoji-world";
constexpr uint64_t kSeed = 7;
constexpr int64_t kImageToken = 3071, kPatches = 64;

// Keeps what it was given, and tells rows of films (many patches) by a loss of their own.
class Recorder : public Model {
 public:
  NamedTensors forward(const NamedTensors& inputs) override {
    calls.push_back(inputs);
    bool film = inputs.at("pixel_values").size(0) > inputs.at("input_ids").size(0);
    return {{"loss", at::full({}, film ? 3.0 : 1.0)}};
  }
  std::vector<NamedTensors> calls;
};

class ConversationTest : public testing::Test {
 protected:
  std::unique_ptr<Objective> objective(Json films, Json more = Json::object()) {
    Json table = {{"kind", "conversation"}, {"pointing", true}, {"data", {{"size", 128}}}};
    if (!films.is_null()) table["films"] = std::move(films);
    table.update(more);
    auto store = std::make_shared<TrainingStore>(1);
    ConfigReader options(table, "recipe");
    return make_objective({options, model_, config_, WeightView(store), kFolder, kSeed});
  }

  // The tokens of a prompt as nuri ask makes it of several pictures, and the answer with the token that ends it.
  std::vector<int64_t> prompt_of(const Film& film, const Turn& turn) const {
    std::vector<Image> frames;
    for (const Scene& frame : film.frames) frames.push_back(frame.picture);
    Json content = Json::array();
    for (size_t i = 0; i < frames.size(); ++i) content.push_back({{"type", "image"}});
    content.push_back({{"type", "text"}, {"text", turn.question}});
    auto chat = ChatTemplate::from_folder(kFolder);
    auto ids = (*processor_)(chat->render({{{"role", "user"}, {"content", content}}}), frames, false).ids;
    for (int32_t id : processor_->tokenizer().encode(turn.answer + "<|im_end|>", false)) ids.push_back(id);
    return {ids.begin(), ids.end()};
  }

  // What the token in this place of a row sees, itself included, in order.
  static std::vector<int64_t> seen_from(const NamedTensors& call, int64_t row, int64_t place) {
    at::Tensor places = call.at("attention_mask")[row][0][place].nonzero().squeeze(1);
    at::Tensor ids = call.at("input_ids")[row].index_select(0, places).contiguous();
    EXPECT_TRUE(at::equal(call.at("position_ids")[row].index_select(0, places), at::arange(places.size(0))));
    return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
  }

  Recorder model_;
  ConfigReader config_ = read_config(kFolder);
  std::unique_ptr<Processor> processor_ = family_of(config_).processor(kFolder, config_);
};

TEST_F(ConversationTest, AFilmIsShownAsAskShowsIt) {
  constexpr int64_t kFilms = 3;
  objective({{"share", 1.0}})->loss(8, kFilms);
  ASSERT_EQ(model_.calls.size(), 1u);
  const NamedTensors& call = model_.calls[0];
  int64_t frames = 0;
  for (int64_t row = 0; row < kFilms; ++row) {
    auto index = static_cast<uint64_t>(8 + row);
    Film film = make_film(*shared_emoji_world(), {}, Split::train, kSeed, index);
    frames += static_cast<int64_t>(film.frames.size());
    // Every text by the last token of what is learned, and all that one sees.
    std::set<std::vector<int64_t>> texts;
    at::Tensor labels = call.at("labels")[row];
    for (int64_t i = 0; i < labels.size(0); ++i)
      if (labels[i].item<int64_t>() >= 0) texts.insert(seen_from(call, row, i));
    for (const FilmTurn& each : make_film_conversation(*shared_emoji_world(), film, {}, kSeed, index))
      EXPECT_TRUE(texts.contains(prompt_of(film, each.turn))) << each.turn.question;
    EXPECT_EQ((call.at("input_ids")[row] == kImageToken).sum().item<int64_t>(),
              kPatches * static_cast<int64_t>(film.frames.size()));
  }
  EXPECT_EQ(call.at("pixel_values").size(0), frames);
  Film first = make_film(*shared_emoji_world(), {}, Split::train, kSeed, 8);
  EXPECT_TRUE(at::equal(call.at("pixel_values")[1], picture_pixels({&first.frames[1].picture})[0]));
}

TEST_F(ConversationTest, TheBundledModelReadsAsItsRecipeTeaches) {
  TestFolder folder;
  TokenizerTrainingOptions options;
  options.scenes = 10;
  options.vocabulary = 400;
  write_emoji_tokenizer(*shared_emoji_world(), options, folder);
  EXPECT_EQ(read_file(folder / "chat_template.jinja"), read_file(kFolder / "chat_template.jinja"));
  const char* key = "pre_tokenizer";
  EXPECT_EQ(read_json_file(folder / "tokenizer.json")[key], read_json_file(kFolder / "tokenizer.json")[key]);
}

TEST_F(ConversationTest, OnlyAnswersAreLearned) {
  objective({{"share", 1.0}, {"objects", 0}}, {{"pointing", false}})->loss(0, 1);
  const NamedTensors& call = model_.calls[0];
  Film film = make_film(*shared_emoji_world(), {}, Split::train, kSeed, 0);
  auto turns = make_film_conversation(*shared_emoji_world(), film, {.objects = 0}, kSeed, 0);
  ASSERT_EQ(turns.size(), 1u);
  auto answer = processor_->tokenizer().encode(turns[0].turn.answer + "<|im_end|>", false);
  at::Tensor labels = call.at("labels")[0], learned = labels.masked_select(labels >= 0);
  EXPECT_TRUE(at::equal(learned, at::tensor(std::vector<int64_t>(answer.begin(), answer.end()), at::kLong)));
}

TEST_F(ConversationTest, FilmsAndScenesMixByTheirShare) {
  auto mixed = objective({{"share", 0.5}, {"objects", 1}});
  int64_t films = 0;
  for (uint64_t first = 0; first < 64; first += 16) {
    model_.calls.clear();
    Objective::Loss loss = mixed->loss(first, 16);
    ASSERT_EQ(model_.calls.size(), 2u);
    int64_t here = model_.calls[0].at("input_ids").size(0);
    EXPECT_EQ(here + model_.calls[1].at("input_ids").size(0), 16);
    EXPECT_NEAR(loss.total.item<double>(), 1 + 2.0 * static_cast<double>(here) / 16, 1e-6);
    films += here;
  }
  EXPECT_NEAR(static_cast<double>(films), 32, 12);
  model_.calls.clear();
  objective(nullptr)->loss(0, 4);
  objective({{"share", 0.0}})->loss(0, 4);
  ASSERT_EQ(model_.calls.size(), 2u);
  for (const auto& [name, tensor] : model_.calls[0]) EXPECT_TRUE(at::equal(tensor, model_.calls[1].at(name))) << name;
}

TEST_F(ConversationTest, RefusesFilmsThatCannotBe) {
  EXPECT_THROW(objective({{"share", 1.5}}), Error);
  EXPECT_THROW(objective({{"share", 0.5}, {"frames", 4}}), Error);
  EXPECT_THROW(objective({{"share", 0.5}, {"data", {{"min_frame", 4}}}}), Error);
  EXPECT_THROW(objective({{"share", 0.5}, {"objects", -1}}), Error);
  EXPECT_THROW(objective({{"share", 0.5}}, {{"show", "words"}}), Error);
}

}  // namespace
}  // namespace nuri
