#include "generate/speculation.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "generate/draft_model.h"
#include "generate/prompt_lookup.h"
#include "generate/test_support.h"

namespace nuri {
namespace {

// Proposes what a function of the tokens so far says, as long as it is let.
class Guesser : public Proposer {
 public:
  using Guess = std::function<std::vector<Path>(const Unfinished&)>;
  explicit Guesser(Guess guess) : guess_(std::move(guess)) {}
  Prospect look(const Unfinished& sequence) override {
    auto paths = guess_(sequence);
    paths.resize(2);
    return {0, std::min(std::ssize(paths[0]), sequence.most), std::min(std::ssize(paths[1]), sequence.most)};
  }
  std::vector<std::vector<Path>> propose(std::span<const Unfinished> sequences) override {
    std::vector<std::vector<Path>> all;
    for (const auto& sequence : sequences) {
      auto paths = guess_(sequence);
      paths.resize(2);
      paths[0].resize(static_cast<size_t>(sequence.length));
      paths[1].resize(static_cast<size_t>(sequence.branch));
      all.push_back(std::move(paths));
    }
    return all;
  }

 private:
  Guess guess_;
};

// Knows the answer, and errs at some tokens; the second path begins with what is right there.
std::unique_ptr<Proposer> knowing(std::vector<int64_t> answer, int64_t errs_every) {
  return std::make_unique<Guesser>([=](const Unfinished& sequence) {
    std::vector<Path> paths(2);
    size_t begin = sequence.ids.size() - sequence.prompt;
    bool errs_at_first = errs_every > 0 && (begin + 1) % errs_every == 0;
    for (size_t i = begin; i < answer.size(); ++i) {
      bool errs = errs_every > 0 && (i + 1) % errs_every == 0;
      paths[0].push_back(errs ? (answer[i] + 1) % 97 : answer[i]);
      if (errs_at_first) paths[1].push_back(answer[i]);
    }
    return paths;
  });
}

std::vector<SamplingOptions> ways_to_sample() {
  std::vector<SamplingOptions> ways(5);
  ways[0].greedy = true;
  ways[1].temperature = 0.7;
  ways[2].top_p = 0.8, ways[2].top_k = 20;
  ways[3].repetition_penalty = 1.4, ways[3].frequency_penalty = 0.9, ways[3].presence_penalty = 0.4;
  ways[4].min_p = 0.1, ways[4].min_tokens = 12, ways[4].suppressed_at_first = {3};
  for (size_t i = 0; i < ways.size(); ++i) ways[i].seed = 7 + i, ways[i].max_tokens = 40;
  return ways;
}

Generation speculating(TinyModel& model, const Request& request, std::unique_ptr<Proposer> proposer,
                       const EngineOptions& options = {}) {
  Engine engine(model, options);
  engine.speculate(std::move(proposer));
  auto handle = engine.submit(request);
  engine.run_until_done();
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  return engine.forget(handle);
}

TEST(Speculation, AnswersAreThoseWithout) {
  TinyModel model;
  for (const auto& way : ways_to_sample())
    for (int64_t errs_every : {0, 1, 2, 5}) {
      Request asked = request(prompt(13 + errs_every, 3), 40);
      asked.sampling = way;
      asked.eos = {5};
      auto expected = alone(model, asked);
      Generation done = speculating(model, asked, knowing(expected, errs_every));
      EXPECT_EQ(done.ids, expected) << way.seed << " " << errs_every;
      EXPECT_GE(done.proposed, done.accepted);
      EXPECT_EQ(done.steps + done.accepted + 1, std::ssize(done.ids));
      if (errs_every != 1) {
        EXPECT_GT(done.accepted, 0) << way.seed << " " << errs_every;
      }
    }
}

TEST(Speculation, TwoPathsShareTheCacheAndTheRightOneGoesOn) {
  TinyModel model;
  Request asked = request(prompt(30, 3), 24);
  auto expected = alone(model, asked);
  int64_t branches = 0;
  model.on_step = [&](Step& step) { branches += step.sequences.size() > 1; };
  auto always_second = std::make_unique<Guesser>([&](const Unfinished& sequence) {
    size_t next = sequence.ids.size() - sequence.prompt;
    if (next + 1 >= expected.size()) return std::vector<Path>();
    return std::vector<Path>{{(expected[next] + 1) % 97, 1}, {expected[next], expected[next + 1]}};
  });
  Generation done = speculating(model, asked, std::move(always_second));
  EXPECT_EQ(done.ids, expected);
  EXPECT_GT(branches, 0);
  EXPECT_GT(done.accepted, 0);
}

TEST(Speculation, WithoutRoomForASecondPathTheFirstGoesOn) {
  TinyModel model;
  Request asked = request(prompt(20, 3), 13);
  auto expected = alone(model, asked);
  model.on_step = [&](Step& step) { EXPECT_EQ(step.sequences.size(), 1u); };
  EngineOptions tight;
  tight.cache_positions = 32;
  EXPECT_EQ(speculating(model, asked, knowing(expected, 2), tight).ids, expected);
}

// Each row of a step has the bits that it has alone.
TEST(Speculation, RowsTogetherAreRowsAlone) {
  for (const char* dynamic : {"", "dynamic"}) {
    Json changes =
        *dynamic == 0 ? Json::object()
                      : Json{{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}, {"max_position_embeddings", 24}};
    TinyModel model(changes);
    at::NoGradGuard no_gradients;
    at::Tensor ids = at::tensor(prompt(40, 1), at::kLong);
    nn::KvCache cache(model.cache_shape(), 9, at::kFloat);
    nn::CachedSequence together(cache);
    Step first{model.embed_made(ids.narrow(0, 0, 25)), at::arange(25), {{0, 25, &together}}, {24}};
    model.step(first, cache);
    nn::CachedSequence alone = together.fork();
    std::vector<int64_t> all(15);
    for (int64_t i = 0; i < 15; ++i) all[i] = i;
    Step rows{model.embed_made(ids.narrow(0, 25, 15)), at::arange(25, 40), {{0, 15, &together, -1}}, all};
    at::Tensor found = model.step(rows, cache);
    for (int64_t i = 0; i < 15; ++i) {
      Step row{model.embed_made(ids.narrow(0, 25 + i, 1)), at::arange(25 + i, 26 + i), {{0, 1, &alone}}, {0}};
      EXPECT_TRUE(at::equal(model.step(row, cache)[0], found[i])) << dynamic << i;
    }
  }
}

// What a callback forks, while further tokens of the step are known, is what it forks without.
TEST(Speculation, ForksInCallbacksGoOnFromTheirToken) {
  TinyModel model;
  auto run = [&](bool speculates) {
    Request asked = request(prompt(21, 6), 30, false, 3);
    auto answer = alone(model, asked);
    Engine engine(model);
    if (speculates) engine.speculate(knowing(answer, 7));
    std::vector<Engine::Handle> forks;
    Engine::Handle parent = 0;
    int64_t heard = 0;
    asked.on_token = [&](int64_t) {
      if (++heard % 4 == 0 && heard < 20) forks.push_back(engine.fork(parent, 100 + heard));
      return true;
    };
    parent = engine.submit(asked);
    engine.run_until_done();
    EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
    std::vector<std::vector<int64_t>> said{engine.generation(parent).ids};
    for (auto fork : forks) said.push_back(engine.generation(fork).ids);
    return said;
  };
  auto expected = run(false);
  EXPECT_EQ(expected.size(), 5u);
  EXPECT_EQ(run(true), expected);
}

TEST(Speculation, WhatIsKeptEndsWithTheAnswer) {
  TinyModel model;
  for (int64_t wanted : {1, 3, 9}) {
    Request asked = request(prompt(20, 2), 30);
    auto expected = alone(model, asked);
    asked.keep_cached = true;
    int64_t heard = 0;
    asked.on_token = [&](int64_t) { return ++heard < wanted; };
    Engine engine(model);
    engine.speculate(knowing(expected, 0));
    auto handle = engine.submit(asked);
    engine.run_until_done();
    Generation done = engine.forget(handle);
    EXPECT_EQ(done.ids, std::vector<int64_t>(expected.begin(), expected.begin() + wanted));
    EXPECT_EQ(done.finish, FinishReason::stop_string);
    ASSERT_TRUE(done.cached);
    EXPECT_EQ(done.cached->length(), 20 + wanted - 1);
  }
}

TEST(Speculation, SequencesTogetherAreSequencesAlone) {
  TinyModel model, draft(Json::object(), 6);
  std::vector<Request> requests;
  for (int64_t i = 0; i < 6; ++i) {
    requests.push_back(request(prompt(5 + 9 * i, 100 + i), 12 + 5 * i, i % 3 == 0, i));
    if (i % 3 == 2) requests.back().sampling.top_p = 0.8, requests.back().sampling.frequency_penalty = 0.5;
  }
  for (bool lookup : {true, false}) {
    Engine engine(model);
    if (lookup)
      engine.speculate(std::make_unique<PromptLookup>());
    else
      engine.speculate(std::make_unique<DraftModel>(draft, 97));
    std::vector<Engine::Handle> handles;
    for (const auto& asked : requests) handles.push_back(engine.submit(asked));
    engine.run_until_done();
    EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
    for (size_t i = 0; i < requests.size(); ++i)
      EXPECT_EQ(engine.generation(handles[i]).ids, alone(model, requests[i])) << i;
  }
}

TEST(Speculation, ProposedRowsHaveTheirPositions) {
  TinyModel model;
  at::NoGradGuard no_gradients;
  Request asked = request(prompt(20, 3), 8);
  asked.input.embeddings = model.embed_made(at::tensor(asked.ids, at::kLong));
  asked.input.positions = at::arange(60).view({3, 20});
  asked.input.shift = 7;
  std::vector<int64_t> seen;
  model.on_step = [&](Step& step) {
    if (step.positions.dim() == 2) step.positions = step.positions[2];
    const auto* first = step.positions.const_data_ptr<int64_t>();
    seen.assign(first, first + step.positions.numel());
    if (step.sequences[0].extent != -1) return;
    for (size_t i = 0; i < seen.size(); ++i)
      EXPECT_EQ(seen[i], 7 + step.sequences[0].sequence->length() + static_cast<int64_t>(i));
  };
  auto expected = alone(model, asked);
  Generation done = speculating(model, asked, knowing(expected, 0));
  EXPECT_EQ(done.ids, expected);
  EXPECT_GT(done.accepted, 0);
}

// The probabilities of every pair of a second and a third token, by the whole forward.
std::map<std::pair<int64_t, int64_t>, double> pairs(TinyModel& model, const Request& asked) {
  at::NoGradGuard no_gradients;
  std::map<std::pair<int64_t, int64_t>, double> shares;
  std::vector<int64_t> ids = asked.ids;
  TokenHistory history(asked.ids);
  std::function<void(size_t, double, int64_t)> extend = [&](size_t depth, double share, int64_t second) {
    at::Tensor logits = model.forward({{"input_ids", at::tensor(ids, at::kLong).unsqueeze(0)}}).at("logits")[0][-1];
    TokenHistory so_far(asked.ids);
    for (size_t i = asked.ids.size(); i < ids.size(); ++i) so_far.add(ids[i]);
    logits = logits.contiguous();
    std::span scores(logits.const_data_ptr<float>(), static_cast<size_t>(logits.numel()));
    for (auto [id, probability] : next_token_distribution(scores, so_far, asked.sampling)) {
      if (depth == 2) {
        shares[{second, id}] += share * probability;
        continue;
      }
      ids.push_back(id);
      extend(depth + 1, share * probability, depth == 1 ? id : 0);
      ids.pop_back();
    }
  };
  extend(0, 1, 0);
  return shares;
}

// Chi-square of counts against what is expected; cells of fewer than 5 count as one.
void expect_distribution(const std::map<std::pair<int64_t, int64_t>, double>& shares,
                         const std::map<std::pair<int64_t, int64_t>, int64_t>& counts, double trials) {
  double sum = 0, rare = 0, found_rare = 0, cells = 0;
  double known = 0;
  for (const auto& [pair, share] : shares) {
    auto found = counts.find(pair);
    double count = found == counts.end() ? 0 : static_cast<double>(found->second), expected = share * trials;
    known += count;
    if (expected < 5) {
      rare += expected, found_rare += count;
      continue;
    }
    sum += (count - expected) * (count - expected) / expected, ++cells;
  }
  EXPECT_EQ(known, trials);  // nothing that cannot come
  if (rare > 0) sum += (found_rare - rare) * (found_rare - rare) / rare, ++cells;
  EXPECT_LT(sum, cells - 1 + 4 * std::sqrt(2 * (cells - 1)));
  EXPECT_GT(cells, 8);
}

// Tokens that were proposed, refused and drawn anew have the target's distribution, whatever the draft says.
TEST(Speculation, SamplesHaveTheDistributionOfTheTargetAlone) {
  Json small{{"vocab_size", 7}, {"num_hidden_layers", 1}};
  TinyModel model(small), draft(small, 9);
  Request asked = request({1, 2, 3, 4, 1, 2, 3}, 5, false);
  std::vector<SamplingOptions> ways(3);
  ways[0].temperature = 1.5;
  ways[1].temperature = 0.8, ways[1].top_p = 0.9;
  ways[2].repetition_penalty = 1.3, ways[2].frequency_penalty = 0.5;
  constexpr int64_t kTrials = 1000;
  for (size_t way = 0; way < ways.size(); ++way)
    for (bool lookup : {false, true}) {
      asked.sampling = ways[way];
      asked.sampling.max_tokens = 5;
      auto shares = pairs(model, asked);
      Engine engine(model);
      std::map<std::pair<int64_t, int64_t>, int64_t> counts;
      int64_t accepted = 0, proposed = 0;
      for (int64_t trial = 0; trial < kTrials; ++trial) {
        if (trial % 50 == 0) {  // so that it tries anew what did not pay
          if (lookup)
            engine.speculate(std::make_unique<PromptLookup>());
          else
            engine.speculate(std::make_unique<DraftModel>(draft, 7, 0, 64));
        }
        asked.sampling.seed = static_cast<uint64_t>(trial) + 10000 * way;
        auto handle = engine.submit(asked);
        engine.run_until_done();
        Generation done = engine.forget(handle);
        ++counts[{done.ids[1], done.ids[2]}];
        accepted += done.accepted, proposed += done.proposed;
      }
      expect_distribution(shares, counts, kTrials);
      EXPECT_GT(accepted, 0);
      EXPECT_GT(proposed, accepted);
    }
}

}  // namespace
}  // namespace nuri
