#include "generate/recorded_decode.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <list>

#include "generate/test_support.h"

namespace nuri {
namespace {

EngineOptions recorded() {
  EngineOptions options;
  options.record_steps = true;
  return options;
}

const Json kWindow{{"sliding_window", 20}};

// Sequences of a cache of their own, that go on by tokens that someone says.
struct Conversations {
  using Sequence = nn::CachedSequence;
  explicit Conversations(TinyModel& model) : model(model), cache(model.cache_shape(), 64, at::kFloat) {}
  void begin(int64_t length, uint64_t seed) {
    Sequence& sequence = sequences.emplace_back(cache);
    Step step{model.embed_made(at::tensor(prompt(length, seed), at::kLong)), at::arange(length)};
    step.sequences = {{0, length, &sequence, length}};
    step.logit_rows = {length - 1};
    model.step(step, cache);
  }
  Step next(uint64_t seed) {
    Step step;
    std::vector<int64_t> positions;
    for (auto& sequence : sequences) {
      step.sequences.push_back({std::ssize(positions), 1, &sequence, -1});
      step.logit_rows.push_back(std::ssize(positions));
      positions.push_back(sequence.length());
    }
    step.embeddings = model.embed_made(at::tensor(prompt(std::ssize(positions), seed), at::kLong));
    step.positions = at::tensor(positions, at::kLong);
    return step;
  }
  TinyModel& model;
  nn::KvCache cache;
  std::list<Sequence> sequences;
};

// Lengths on both sides of blocks and of their powers of two, a fork, and members that come and go.
TEST(RecordedDecode, LogitsAreThoseOfOrdinarySteps) {
  for (const Json& changes : {Json::object(), kWindow}) {
    TinyModel model(changes);
    at::NoGradGuard no_gradients;
    Conversations plain(model), replayed(model);
    RecordedDecode decode(model, replayed.cache);
    for (auto* all : {&plain, &replayed})
      for (int64_t length : {1, 14, 31, 60}) all->begin(length, static_cast<uint64_t>(length));
    for (uint64_t round = 0; round < 24; ++round) {
      for (auto* all : {&plain, &replayed}) {
        if (round == 5) all->sequences.push_back(all->sequences.back().fork());
        if (round == 12) all->sequences.pop_front(), all->sequences.pop_front();
      }
      Step expected = plain.next(round), step = replayed.next(round);
      ASSERT_TRUE(decode.takes(step));
      at::Tensor exact = model.step(expected, plain.cache), found = decode.step(step);
      EXPECT_LT((found - exact).abs().max().item<double>(), 1e-5 * exact.abs().max().item<double>()) << round;
      EXPECT_TRUE(found.argmax(-1).equal(exact.argmax(-1))) << round;
    }
    EXPECT_EQ(decode.steps(), 24);
    EXPECT_EQ(plain.cache.free_blocks(), replayed.cache.free_blocks());
  }
}

// The operators of a step, and the shapes that each is given, from a moment on.
class Operators {
 public:
  Operators() {
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(&Operators::see).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
    current_ = this;
  }
  ~Operators() {
    at::removeCallback(handle_);
    current_ = nullptr;
  }
  std::vector<std::string> called;

 private:
  static std::unique_ptr<at::ObserverContext> see(const at::RecordFunction& function) {
    std::string call = function.name();
    for (const c10::IValue& input : function.inputs())
      if (input.isTensor() && input.toTensor().defined()) call += c10::str(" ", input.toTensor().sizes());
    current_->called.push_back(call);
    return nullptr;
  }
  static inline Operators* current_ = nullptr;
  at::CallbackHandle handle_;
};

// A graph does what it did when it was recorded: the work may neither ask for a number, nor look at what is told to it
// in another way than by operators whose shapes stay.
TEST(RecordedDecode, AReplayDoesWhatTheRecordingDid) {
  TinyModel model;
  at::NoGradGuard no_gradients;
  Conversations talk(model);
  for (int64_t length : {1, 14, 33}) talk.begin(length, static_cast<uint64_t>(length));
  RecordedDecode decode(model, talk.cache);
  std::vector<std::string> replayed;
  for (uint64_t round = 0; round < 14; ++round) {  // all of three blocks at most: one recording
    Operators operators;
    model.on_step = [&](Step&) { operators.called.clear(); };
    decode.step(talk.next(round));
    for (const std::string& call : operators.called)
      for (const char* asks : {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero"})
        EXPECT_FALSE(call.starts_with(asks)) << call;
    EXPECT_GT(operators.called.size(), 20u);
    if (round == 1) replayed = operators.called;
    if (round > 1) {
      EXPECT_EQ(operators.called, replayed);
    }
  }
}

TEST(RecordedDecode, AnEngineSaysTheSame) {
  for (const Json& changes : {Json::object(), kWindow}) {
    TinyModel model(changes);
    Engine engine(model, recorded()), plain(model);
    std::vector<Request> requests;
    for (int64_t i = 0; i < 6; ++i) requests.push_back(request(prompt(1 + 11 * i, 70 + i), 8 + 7 * i, i % 2 == 0, i));
    std::vector<std::vector<int64_t>> said[2];
    for (Engine* one : {&engine, &plain}) {
      std::vector<Engine::Handle> handles;
      for (const Request& asked : requests) {
        handles.push_back(one->submit(asked));
        for (int i = 0; i < 3; ++i) one->run_step();
      }
      handles.push_back(one->fork(handles[4], 9));
      one->run_until_done();
      EXPECT_EQ(one->cache().free_blocks(), one->cache().blocks());
      for (auto handle : handles) said[one == &plain].push_back(one->forget(handle).ids);
    }
    EXPECT_EQ(said[0], said[1]);
    EXPECT_GT(engine.recorded_steps(), 20);
    EXPECT_EQ(plain.recorded_steps(), 0);
  }
}

TEST(RecordedDecode, OtherStepsAreRunAsTheyCome) {
  TinyModel dynamic(Json{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}), model;
  for (TinyModel* one : {&dynamic, &model}) {
    Engine engine(*one, recorded());
    Request asked = request(prompt(20, 1), 6);
    if (one == &model) {  // what a sequence keeps beside its positions is not told to the recording
      at::NoGradGuard no_gradients;
      asked.input.embeddings = model.embed_made(at::tensor(asked.ids, at::kLong));
      asked.input.slots = std::make_shared<nn::Slots>(nn::Slots{{"seen", at::ones({2})}});
    }
    auto handle = engine.submit(asked);
    engine.run_until_done();
    EXPECT_EQ(engine.forget(handle).ids.size(), 6u);
    EXPECT_EQ(engine.recorded_steps(), 0);
  }
}

}  // namespace
}  // namespace nuri
