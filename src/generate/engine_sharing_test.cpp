#include "generate/test_support.h"
#include "models/parts/fusion/unified_model.h"

namespace nuri {
namespace {

std::vector<int64_t> joined(std::vector<int64_t> first, const std::vector<int64_t>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

TEST(EngineSharing, PromptsThatBeginAlikeShareTheirBlocks) {
  TinyModel model;
  Engine engine(model);
  auto answer = [&](const Request& asked, int64_t reused) {
    model.rows = 0;
    auto handle = engine.submit(asked);
    engine.run_until_done();
    Generation done = engine.forget(handle);
    EXPECT_EQ(done.reused_tokens, reused);
    EXPECT_EQ(model.rows, done.prompt_tokens - reused + static_cast<int64_t>(done.ids.size()) - 1);
    EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
    return done.ids;
  };
  auto begin = prompt(50, 1);
  Request first = request(joined(begin, prompt(9, 2)), 8), second = request(joined(begin, prompt(20, 3)), 8);
  EXPECT_EQ(answer(first, 0), alone(model, first));
  EXPECT_EQ(answer(second, 48), alone(model, second));
  EXPECT_EQ(answer(first, 48), alone(model, first));  // 59 tokens: the last one is always read
  Request whole = request(prompt(64, 4), 4);
  EXPECT_EQ(answer(whole, 0), alone(model, whole));
  EXPECT_EQ(answer(whole, 48), alone(model, whole));
  second.shares = false;
  EXPECT_EQ(answer(second, 0), alone(model, second));
}

TEST(EngineSharing, AnAnswerIsReadAgainAsPartOfTheNextPrompt) {
  TinyModel model;
  Engine engine(model);
  Request first = request(prompt(20, 1), 30);
  auto handle = engine.submit(first);
  engine.run_until_done();
  Request second = request(joined(joined(first.ids, engine.forget(handle).ids), prompt(5, 2)), 8);
  handle = engine.submit(second);
  engine.run_until_done();
  Generation done = engine.forget(handle);
  EXPECT_EQ(done.reused_tokens, 48);  // 49 positions were written
  EXPECT_EQ(done.ids, alone(model, second));
}

TEST(EngineSharing, ARunningPromptIsSharedToo) {
  TinyModel model;
  Engine engine(model);
  auto first = engine.submit(request(prompt(40, 1), 30));
  for (int i = 0; i < 3; ++i) engine.run_step();
  Request asked = request(joined(prompt(40, 1), prompt(3, 2)), 5);
  auto second = engine.submit(asked);
  engine.run_until_done();
  EXPECT_EQ(engine.generation(second).reused_tokens, 32);
  EXPECT_EQ(engine.generation(second).ids, alone(model, asked));
  EXPECT_EQ(engine.generation(first).ids, alone(model, request(prompt(40, 1), 30)));
}

// What two prompts leave is more than the cache holds: it gives room, and nothing that is read is wrong.
TEST(EngineSharing, SharedBlocksGiveRoomInASmallCache) {
  TinyModel model;
  EngineOptions options;
  options.cache_positions = 96;
  Engine engine(model, options);
  for (int64_t i = 0; i < 12; ++i) {
    Request asked = request(joined(prompt(35, i % 3), prompt(7 + i, 50 + i)), 9);
    auto handle = engine.submit(asked);
    engine.run_until_done();
    EXPECT_EQ(engine.forget(handle).ids, alone(model, asked)) << i;
    EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  }
}

TEST(EngineSharing, PositionsThatRestOnThePromptsLengthAreNotShared) {
  TinyModel model(Json{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}, {"max_position_embeddings", 24}});
  EngineOptions options;
  options.context = 100;
  Engine engine(model, options);
  options.known_bytes = 0;
  for (int64_t length : {20, 40, 60}) {
    Request asked = request(prompt(length, 1), 6);
    auto handle = engine.submit(asked);
    engine.run_until_done();
    EXPECT_EQ(engine.generation(handle).reused_tokens, 0) << length;
    Engine fresh(model, options);
    auto expected = fresh.submit(asked);
    fresh.run_until_done();
    EXPECT_EQ(engine.forget(handle).ids, fresh.forget(expected).ids) << length;
  }
}

TEST(EngineSharing, ACacheOfCodesChangesLittle) {
  TinyModel model;
  EngineOptions options;
  options.step_rows = 16;  // what is read in one piece attends to its own keys as they are
  Engine exact(model, options);
  options.cache = nn::CacheType::int8;
  Engine coded(model, options);
  for (Engine* engine : {&coded, &exact}) EXPECT_EQ(engine->cache().blocks(), 16);
  Request weighed = request(prompt(60, 3), 1);
  weighed.given = prompt(9, 4);
  double found[2];
  for (int i = 0; i < 2; ++i) {
    Engine& engine = i == 0 ? coded : exact;
    auto handle = engine.submit(weighed);
    engine.run_until_done();
    found[i] = engine.forget(handle).log_probability;
  }
  EXPECT_NE(found[0], found[1]);
  EXPECT_NEAR(found[0], found[1], 1e-2 * std::abs(found[1]));
}

// Each tile becomes 20 rows, of its own sum.
class CountingReader : public TileReader {
 public:
  explicit CountingReader(int64_t& encoded) : encoded_(encoded) {}
  NamedTensors picture_inputs(int64_t, int64_t) const override { return {}; }
  at::Tensor tiles(const NamedTensors& inputs, const at::Tensor&) const override { return inputs.at("pixel_values"); }
  at::Tensor encode(const at::Tensor& tiles) const override {
    encoded_ += tiles.size(0);
    return tiles.sum({1, 2, 3}).view({-1, 1, 1}).expand({-1, 20, 32}).sin();
  }
  at::Tensor arrange(const at::Tensor& features, const NamedTensors&) const override { return features; }

 private:
  int64_t& encoded_;
};

TEST(EngineSharing, APictureSeenBeforeIsNeitherEncodedNorReadAgain) {
  constexpr int64_t kPicture = 90;  // the token in whose place a row stands
  Json config = {{"vocab_size", 97},         {"hidden_size", 32},           {"intermediate_size", 48},
                 {"num_hidden_layers", 2},   {"num_attention_heads", 4},    {"num_key_value_heads", 2},
                 {"initializer_range", 0.3}, {"tie_word_embeddings", true}, {"max_position_embeddings", 256}};
  int64_t encoded = 0;
  UnifiedModel model(std::make_unique<CountingReader>(encoded), WeightView(std::make_shared<TrainingStore>(5)),
                     parse_llama_config(ConfigReader(config, "test")), kPicture);
  at::NoGradGuard no_gradients;
  auto ask = [&](Engine& engine, const at::Tensor& picture, const std::vector<int64_t>& question) {
    std::vector<int64_t> ids(20, kPicture);
    ids.insert(ids.end(), question.begin(), question.end());
    Request asked = request(ids, 6);
    asked.input = std::move(
        model.embed({{"input_ids", at::tensor(ids, at::kLong).unsqueeze(0)}, {"pixel_values", picture}}).front());
    auto handle = engine.submit(asked);
    engine.run_until_done();
    return engine.forget(handle);
  };
  auto alone = [&](const at::Tensor& picture, const std::vector<int64_t>& question) {
    Engine engine(model);
    return ask(engine, picture, question).ids;
  };
  Engine engine(model);
  at::Tensor first = at::ones({1, 3, 4, 4}), second = first * 2;
  EXPECT_EQ(ask(engine, first, {1, 2, 3}).reused_tokens, 0);
  EXPECT_EQ(encoded, 1);
  Generation again = ask(engine, first.clone(), {7, 8, 9, 10});
  EXPECT_EQ(again.reused_tokens, 16);
  EXPECT_EQ(encoded, 1);
  EXPECT_EQ(again.ids, alone(first, {7, 8, 9, 10}));
  Generation other = ask(engine, second, {1, 2, 3});  // the same tokens about another picture
  EXPECT_EQ(other.reused_tokens, 0);
  EXPECT_EQ(encoded, 2);
  EXPECT_EQ(other.ids, alone(second, {1, 2, 3}));
}

}  // namespace
}  // namespace nuri
