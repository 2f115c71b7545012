#include "generate/engine.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/report.h"
#include "generate/likelihood.h"
#include "generate/test_support.h"

namespace nuri {
namespace {

using testing::HasSubstr;

// Greedy decoding without a cache: the whole sequence anew for each token.
std::vector<int64_t> without_cache(TinyModel& model, std::vector<int64_t> ids, int64_t count) {
  at::NoGradGuard no_gradients;
  std::vector<int64_t> generated;
  for (int64_t i = 0; i < count; ++i) {
    at::Tensor logits = model.forward({{"input_ids", at::tensor(ids, at::kLong).unsqueeze(0)}}).at("logits");
    generated.push_back(logits[0][-1].argmax().item<int64_t>());
    ids.push_back(generated.back());
  }
  return generated;
}

TEST(Engine, StepsGiveTheLogitsOfTheWholeForward) {
  for (Json changes : {Json::object(), Json{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}},
                                            {"max_position_embeddings", 24}}}) {
    TinyModel model(changes);
    at::NoGradGuard no_gradients;
    auto ids = prompt(40, 1);
    at::Tensor all = at::tensor(ids, at::kLong);
    at::Tensor expected = model.forward({{"input_ids", all.unsqueeze(0)}}).at("logits")[0];
    nn::KvCache cache(model.cache_shape(), 4, at::kFloat);
    nn::CachedSequence sequence(cache);
    for (int64_t begin = 0, count; begin < 40; begin += count) {
      count = std::min<int64_t>(begin == 0 ? 19 : 7, 40 - begin);
      Step step{model.embed_made(all.narrow(0, begin, count)),
                at::arange(begin, begin + count),
                {{0, count, &sequence, 40}},
                {0, count - 1}};
      at::Tensor found = model.step(step, cache);
      EXPECT_LT((found[0] - expected[begin]).abs().max().item<double>(), 1e-4);
      EXPECT_LT((found[1] - expected[begin + count - 1]).abs().max().item<double>(), 1e-4);
    }
  }
}

TEST(Engine, GreedyTokensAreThoseWithoutACache) {
  TinyModel model;
  for (int64_t length : {1, 15, 16, 17, 50})
    EXPECT_EQ(alone(model, request(prompt(length, length), 20)), without_cache(model, prompt(length, length), 20));
}

TEST(Engine, ABatchChangesNoToken) {
  TinyModel model;
  std::vector<Request> requests;
  for (int64_t i = 0; i < 12; ++i) {
    requests.push_back(request(prompt(1 + 9 * i, 100 + i), 5 + 3 * i, i % 3 == 0, i));
    if (i % 3 == 2) requests.back().sampling.top_p = 0.8, requests.back().sampling.frequency_penalty = 0.5;
  }
  EngineOptions options;
  options.cache_positions = 400;  // not all fit at once
  options.step_rows = 37;         // prompts are cut
  Engine engine(model, options);
  std::vector<Engine::Handle> handles;
  for (size_t i = 0; i < requests.size(); ++i) {
    handles.push_back(engine.submit(requests[i]));
    if (i % 4 == 1) engine.run_step();
  }
  engine.run_until_done();
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(engine.generation(handles[i]).ids, alone(model, requests[i])) << i;
    EXPECT_EQ(engine.generation(handles[i]).finish, FinishReason::length);
  }
}

TEST(Engine, AModelIsTendedBetweenTokensOnly) {
  TinyModel model;
  int64_t tended = 0;
  model.tend_by([&] { return ++tended, false; });
  EngineOptions options;
  options.step_rows = 8;
  Engine engine(model, options);
  engine.submit(request(prompt(20, 1), 6));
  for (int64_t step : {1, 2, 3}) {
    engine.run_step();
    EXPECT_EQ(tended, 0) << step;  // which read the prompt
  }
  engine.run_until_done();
  EXPECT_EQ(model.steps, 8);
  EXPECT_EQ(tended, 5);
}

TEST(Engine, SeedsAndStreamsDecideSamples) {
  TinyModel model;
  Request first = request(prompt(9, 2), 30, false, 11);
  EXPECT_EQ(alone(model, first), alone(model, first));
  Request other_seed = first, other_stream = first;
  other_seed.sampling.seed = 12;
  other_stream.stream = 1;
  EXPECT_NE(alone(model, first), alone(model, other_seed));
  EXPECT_NE(alone(model, first), alone(model, other_stream));
}

TEST(Engine, EmbeddingsStandForTheirIds) {
  TinyModel model;
  at::NoGradGuard no_gradients;
  Request by_ids = request(prompt(30, 3), 10), by_embeddings = by_ids;
  by_embeddings.ids.clear();
  by_embeddings.input.embeddings = model.embed_made(at::tensor(by_ids.ids, at::kLong));
  EXPECT_EQ(alone(model, by_ids), alone(model, by_embeddings));
}

// Positions reach the model as they were given, in a prompt that takes several steps and behind it, and so do slots.
TEST(Engine, APromptBringsItsOwnPositionsAndSlots) {
  TinyModel model;
  at::NoGradGuard no_gradients;
  Request given = request(prompt(20, 3), 4);
  given.input.embeddings = model.embed_made(at::tensor(given.ids, at::kLong));
  given.input.positions = at::arange(60).view({3, 20});
  given.input.shift = 7;
  given.input.slots = std::make_shared<nn::Slots>(nn::Slots{{"seen", at::ones({2})}});
  EngineOptions options;
  options.step_rows = 12;
  Engine engine(model, options);
  std::vector<std::vector<int64_t>> third;
  model.on_step = [&](Step& step) {
    EXPECT_TRUE(step.sequences[0].sequence->slots()->contains("seen"));
    if (step.positions.dim() == 2) step.positions = step.positions[2];
    const auto* first = step.positions.const_data_ptr<int64_t>();
    third.emplace_back(first, first + step.positions.numel());
  };
  engine.submit(given);
  engine.run_until_done();
  ASSERT_EQ(third.size(), 5u);
  EXPECT_EQ(third[0].front(), 40);
  EXPECT_EQ(third[1].front(), 52);
  EXPECT_EQ(third[1].back(), 59);
  EXPECT_EQ(third[2], std::vector<int64_t>{27});
  EXPECT_EQ(third[4], std::vector<int64_t>{29});
}

TEST(Engine, ForksShareThePromptAndSampleByThemselves) {
  TinyModel model;
  Request base = request(prompt(40, 4), 12, false, 3);
  Engine engine(model);
  auto parent = engine.submit(base);
  std::vector<Engine::Handle> forks{parent};
  for (uint64_t stream = 1; stream < 4; ++stream) forks.push_back(engine.fork(parent, stream));
  engine.run_step();
  EXPECT_EQ(model.rows, 40);  // the prompt ran once
  EXPECT_EQ(engine.cache().blocks() - engine.cache().free_blocks(), 3);
  engine.run_step();
  EXPECT_EQ(engine.cache().blocks() - engine.cache().free_blocks(), 2 + 4);  // two full blocks stay shared
  engine.run_until_done();
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  for (uint64_t stream = 0; stream < 4; ++stream) {
    Request same = base;
    same.stream = stream;
    EXPECT_EQ(engine.generation(forks[stream]).ids, alone(model, same)) << stream;
  }
}

TEST(Engine, AForkOfARunningAnswerGoesOnFromThere) {
  TinyModel model;
  Engine engine(model);
  auto parent = engine.submit(request(prompt(5, 6), 20, false, 3));
  for (int i = 0; i < 8; ++i) engine.run_step();
  auto child = engine.fork(parent, 9);
  engine.run_until_done();
  auto first = engine.forget(parent).ids, second = engine.forget(child).ids;
  ASSERT_EQ(first.size(), 20u);
  ASSERT_EQ(second.size(), 20u);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 8, second.begin()));
  EXPECT_NE(first, second);
}

TEST(Engine, StopsAtClosingTokensLimitsAndTheReadersWord) {
  TinyModel model;
  Request base = request(prompt(6, 8), 30);
  auto whole = alone(model, base);
  size_t place = 4;
  while (std::find(whole.begin(), whole.begin() + place, whole[place]) != whole.begin() + place) ++place;
  Engine engine(model);
  Request closing = base, unwilling = base;
  closing.eos = {96000, whole[place]};
  std::vector<int64_t> heard;
  closing.on_token = [&](int64_t id) { return heard.push_back(id), true; };
  int calls = 0;
  unwilling.on_token = [&](int64_t) { return ++calls < 3; };
  auto a = engine.submit(closing), b = engine.submit(unwilling);
  engine.run_until_done();
  EXPECT_EQ(engine.generation(a).finish, FinishReason::stop);
  EXPECT_EQ(engine.generation(a).ids.size(), place + 1);
  EXPECT_EQ(heard.size(), place);  // the closing token is not told
  EXPECT_EQ(engine.generation(b).finish, FinishReason::stop_string);
  EXPECT_EQ(engine.generation(b).ids.size(), 3u);
}

TEST(Engine, AnAnswerEndsWithTheContext) {
  TinyModel model;
  EngineOptions options;
  options.context = 20;
  Engine engine(model, options);
  auto handle = engine.submit(request(prompt(15, 1), 100)), full = engine.submit(request(prompt(20, 1), 100));
  engine.run_until_done();
  EXPECT_EQ(engine.generation(handle).ids.size(), 6u);  // the last one is never read again
  EXPECT_EQ(engine.generation(full).ids.size(), 1u);
  EXPECT_EQ(engine.generation(full).finish, FinishReason::length);
  EXPECT_EQ(failure([&] { engine.submit(request(prompt(21, 1), 1)); }, ErrorKind::usage),
            "the prompt: found 21 tokens, expected at most 20, the context's length");
  EXPECT_THAT(failure([&] { engine.submit(request({}, 1)); }, ErrorKind::usage), HasSubstr("found no token"));
  Request wrong = request(prompt(3, 1), 1);
  wrong.input.embeddings = at::zeros({3, 31});
  EXPECT_EQ(failure([&] { engine.submit(wrong); }, ErrorKind::usage),
            "the prompt's embeddings: found shape [3, 31], expected [tokens, 32]");
}

TEST(Engine, WhatTheCacheKeptIsNotComputedAgain) {
  TinyModel model;
  Engine engine(model);
  Request first = request(prompt(50, 1), 8);
  first.keep_cached = true;
  auto handle = engine.submit(first);
  engine.run_until_done();
  Generation before = engine.forget(handle);
  ASSERT_TRUE(before.cached);
  EXPECT_EQ(before.cached->length(), 57);

  Request second = request(first.ids, 8);  // the conversation goes on
  second.ids.insert(second.ids.end(), before.ids.begin(), before.ids.end());
  for (int64_t id : prompt(10, 2)) second.ids.push_back(id);
  auto expected = alone(model, second);
  second.prefix = std::move(before.cached);
  before.cached.reset();
  model.rows = 0;
  handle = engine.submit(std::move(second));
  engine.run_until_done();
  EXPECT_EQ(engine.forget(handle).ids, expected);
  EXPECT_EQ(model.rows, 68 - 57 + 7);
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
}

// By the whole forward.
double log_likelihood(TinyModel& model, std::vector<int64_t> ids, const std::vector<int64_t>& given) {
  at::NoGradGuard no_gradients;
  auto first = static_cast<int64_t>(ids.size()) - 1;
  ids.insert(ids.end(), given.begin(), given.end());
  at::Tensor all = at::tensor(ids, at::kLong).unsqueeze(0);
  at::Tensor shares = model.forward({{"input_ids", all}}).at("logits")[0].to(at::kDouble).log_softmax(-1);
  double sum = 0;
  for (size_t i = 0; i < given.size(); ++i) sum += shares[first + static_cast<int64_t>(i)][given[i]].item<double>();
  return sum;
}

TEST(Likelihood, LogitsOfGivenTokensAreThoseOfTheWholeForward) {
  TinyModel model;
  EngineOptions options;
  options.step_rows = 7;
  Engine engine(model, options);
  for (int64_t length : {1, 6, 20}) {
    Request weighed = request(prompt(length, 3), 1);
    weighed.given = prompt(9, 40);
    std::vector<int64_t> ids = weighed.ids;
    ids.insert(ids.end(), weighed.given.begin(), weighed.given.end());
    at::NoGradGuard no_gradients;
    at::Tensor all = model.forward({{"input_ids", at::tensor(ids, at::kLong).unsqueeze(0)}}).at("logits")[0];
    at::Tensor found = logits_of_given(engine, weighed);
    ASSERT_EQ(found.sizes(), at::IntArrayRef({9, all.size(1)}));
    EXPECT_TRUE(at::allclose(found, all.narrow(0, length - 1, 9).to(at::kFloat), 1e-4, 1e-4)) << length;
  }
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  EXPECT_THROW(logits_of_given(engine, request(prompt(3, 3), 1)), Error);
}

TEST(Engine, GivenTokensAreWeighed) {
  TinyModel model;
  EngineOptions options;
  options.step_rows = 7;  // so that pieces end in front of, at and behind the first given token
  Engine engine(model, options);
  Request spoken = request(prompt(20, 3), 6);
  spoken.keep_cached = true;
  auto handle = engine.submit(spoken);
  engine.run_until_done();
  Generation said = engine.forget(handle);
  EXPECT_EQ(said.log_probability, 0);
  for (int64_t length : {1, 6, 7, 8, 20})
    for (int64_t count : {1, 2, 9}) {
      Request weighed = request(prompt(length, 3), 1);
      weighed.given = prompt(count, 40 + count);
      double expected = log_likelihood(model, weighed.ids, weighed.given);
      std::vector<Engine::Handle> handles{engine.submit(weighed)};
      if (length == 20) {
        weighed.prefix = said.cached->fork();
        weighed.prefix->truncate(16);
        handles.push_back(engine.submit(weighed));
      }
      engine.run_until_done();
      for (auto each : handles) {
        Generation found = engine.forget(each);
        EXPECT_NEAR(found.log_probability, expected, 1e-4 * std::abs(expected)) << length << " " << count;
        EXPECT_EQ(found.finish, FinishReason::stop);
        EXPECT_TRUE(found.ids.empty());
      }
    }
  said.cached.reset();
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
}

TEST(Engine, GivenTokensHavePositionsOfTheirOwn) {
  TinyModel model;
  Engine engine(model);
  Request plain = request(prompt(12, 8), 1), moved = plain;
  plain.given = moved.given = prompt(5, 9);
  at::NoGradGuard no_gradients;
  moved.input = model.embed({{"input_ids", at::tensor(moved.ids, at::kLong).unsqueeze(0)}})[0];
  moved.input.positions = at::arange(12) + 4;  // rotary positions are relative: only their distances matter
  moved.input.shift = 4;
  auto a = engine.submit(plain), b = engine.submit(moved);
  moved.input.shift = 9;
  auto c = engine.submit(moved);
  engine.run_until_done();
  double expected = engine.forget(a).log_probability;
  EXPECT_NEAR(engine.forget(b).log_probability, expected, 1e-3);
  EXPECT_GT(std::abs(engine.forget(c).log_probability - expected), 1e-2);
}

TEST(Engine, RefusesGivenTokensThatItCannotWeigh) {
  TinyModel model;
  EngineOptions options;
  options.context = 16;
  Engine engine(model, options);
  Request asked = request(prompt(10, 1), 1);
  for (auto given : {std::vector<int64_t>{97}, std::vector<int64_t>{-1}, std::vector<int64_t>(8, 1)}) {
    asked.given = given;
    EXPECT_THROW(engine.submit(asked), Error);
  }
  asked.given = std::vector<int64_t>(7, 1);
  auto handle = engine.submit(asked);
  EXPECT_THROW(engine.fork(handle, 1), Error);
  engine.run_until_done();
  EXPECT_LT(engine.forget(handle).log_probability, 0);
}

TEST(Engine, CancelledAndForgottenSequencesGiveTheirBlocksBack) {
  TinyModel model;
  Engine engine(model);
  auto first = engine.submit(request(prompt(30, 1), 50)), second = engine.submit(request(prompt(30, 2), 50));
  auto fork = engine.fork(first, 1);
  engine.cancel(first);
  engine.run_step();
  engine.cancel(second);
  EXPECT_EQ(engine.generation(second).finish, FinishReason::interrupted);
  engine.run_until_done();  // the fork had to begin the prompt itself
  EXPECT_EQ(engine.generation(fork).ids.size(), 50u);
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
}

TEST(Engine, AnInterruptEndsTheRunBetweenSteps) {
  TinyModel model;
  Engine engine(model);
  Request asked = request(prompt(5, 1), 50);
  asked.on_token = [&](int64_t) { return request_interrupt(), true; };
  auto handle = engine.submit(asked);
  failure([&] { engine.run_until_done(); }, ErrorKind::interrupted);
  clear_interrupt();
  EXPECT_EQ(engine.generation(handle).ids.size(), 1u);
}

TEST(Engine, AFailingCallbackEndsItsSequenceOnly) {
  TinyModel model;
  Engine engine(model);
  Request bad = request(prompt(5, 1), 20), good = request(prompt(7, 2), 20);
  bad.on_token = [](int64_t) -> bool { throw Error(ErrorKind::usage, "full disk"); };
  auto expected = alone(model, good);
  auto a = engine.submit(bad), b = engine.submit(good);
  EXPECT_EQ(failure([&] { engine.run_until_done(); }, ErrorKind::usage), "full disk");
  engine.run_until_done();
  EXPECT_EQ(engine.generation(a).finish, FinishReason::interrupted);
  EXPECT_EQ(engine.generation(b).ids, expected);
}

TEST(Engine, RefusesACacheThatMemoryCannotHold) {
  TinyModel model;
  EngineOptions options;
  options.cache_positions = int64_t{1} << 34;
  // 2 layers of keys and values of 2 heads of 8 floats: 256 bytes a position.
  EXPECT_THAT(failure([&] { Engine engine(model, options); }, ErrorKind::resource),
              HasSubstr("the key-value cache: needs 4096.00 GiB (17179869184 positions x 256 bytes), found "));
  options.cache_positions = 32;
  Engine small(model, options);
  EXPECT_EQ(failure([&] { small.submit(request(prompt(33, 1), 1)); }, ErrorKind::resource),
            "the prompt: found 33 tokens, expected at most 32, for which the key-value cache has room");
  auto parent = small.submit(request(prompt(16, 1), 16));
  small.run_step();
  EXPECT_THAT(failure([&] { small.fork(parent, 1); }, ErrorKind::resource), HasSubstr("fork: found"));
  small.run_until_done();
  EXPECT_EQ(small.generation(parent).ids.size(), 16u);
}

TEST(Engine, ALimitOnAddressSpaceIsHeeded) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer itself takes address space as it goes";
#endif
  TinyModel model;
  EngineOptions options;
  options.cache_positions = 1 << 24;  // 4 GiB
  rlimit old{};
  getrlimit(RLIMIT_AS, &old);
  rlimit tight = old;
  tight.rlim_cur = rlim_t{1} << 30;
  setrlimit(RLIMIT_AS, &tight);
  std::string message = failure([&] { Engine engine(model, options); }, ErrorKind::resource);
  setrlimit(RLIMIT_AS, &old);
  EXPECT_THAT(message, HasSubstr("needs 4.00 GiB"));
  EXPECT_THAT(message, HasSubstr("ulimit -v"));
}

}  // namespace
}  // namespace nuri
