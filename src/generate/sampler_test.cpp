#include "generate/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "base/error.h"

namespace nuri {
namespace {

std::vector<float> random_logits(size_t count, uint64_t seed, double spread = 3) {
  CounterRandom random(seed);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = static_cast<float>(spread * random.normal());
  return logits;
}

// The reference's chain by its definitions, with whole sorts.
std::map<int64_t, double> plain_distribution(std::vector<double> scores, const SamplingOptions& options,
                                             const std::vector<int64_t>& prompt, const std::vector<int64_t>& answer) {
  std::vector<int64_t> seen = prompt;
  seen.insert(seen.end(), answer.begin(), answer.end());
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (int64_t id : seen) scores[id] *= scores[id] < 0 ? options.repetition_penalty : 1 / options.repetition_penalty;
  for (size_t id = 0; id < scores.size(); ++id) {
    auto times = std::count(answer.begin(), answer.end(), static_cast<int64_t>(id));
    scores[id] -= options.frequency_penalty * static_cast<double>(times) + options.presence_penalty * (times > 0);
    scores[id] /= options.temperature;
  }
  const double gone = -std::numeric_limits<double>::infinity();
  auto probabilities = [&] {
    double largest = *std::max_element(scores.begin(), scores.end()), whole = 0;
    std::vector<double> out;
    for (double score : scores) whole += std::exp(score - largest);
    for (double score : scores) out.push_back(std::exp(score - largest) / whole);
    return out;
  };
  if (options.top_k > 0) {
    auto sorted = scores;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    double least = sorted[std::min<size_t>(options.top_k, sorted.size()) - 1];
    for (double& score : scores)
      if (score < least) score = gone;
  }
  if (options.top_p < 1) {
    auto p = probabilities();
    std::vector<size_t> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
    double sum = 0;
    for (size_t i = 0; i + 1 < order.size(); ++i)
      if ((sum += p[order[i]]) <= 1 - options.top_p) scores[order[i]] = gone;
  }
  if (options.min_p > 0) {
    auto p = probabilities();
    double largest = *std::max_element(p.begin(), p.end());
    for (size_t i = 0; i < p.size(); ++i)
      if (p[i] < options.min_p * largest) scores[i] = gone;
  }
  std::map<int64_t, double> out;
  auto p = probabilities();
  for (size_t i = 0; i < p.size(); ++i)
    if (p[i] > 0) out[static_cast<int64_t>(i)] = p[i];
  return out;
}

TEST(Sampler, DistributionsAreTheReferences) {
  const std::vector<int64_t> prompt{3, 5, 7, 7}, answer{7, 9, 9, 11};
  TokenHistory history(prompt);
  for (int64_t id : answer) history.add(id);
  int tried = 0;
  for (size_t vocabulary : {12u, 1000u})
    for (double temperature : {1.0, 0.3, 2.5})
      for (int64_t top_k : {0, 1, 5, 400, 100000})
        for (double top_p : {1.0, 0.9, 0.3, 0.0})
          for (double min_p : {0.0, 0.05})
            for (bool penalties : {false, true}) {
              SamplingOptions options;
              options.temperature = temperature, options.top_k = top_k, options.top_p = top_p, options.min_p = min_p;
              if (penalties)
                options.repetition_penalty = 1.3, options.presence_penalty = 0.5, options.frequency_penalty = -0.25;
              auto logits = random_logits(vocabulary, ++tried);
              auto expected = plain_distribution({logits.begin(), logits.end()}, options, prompt, answer);
              auto found = next_token_distribution(logits, history, options);
              ASSERT_EQ(found.size(), expected.size()) << tried;
              for (auto [id, probability] : found) ASSERT_NEAR(probability, expected.at(id), 1e-6) << tried;
            }
}

std::vector<int64_t> kept(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<int64_t> ids;
  for (auto [id, probability] : next_token_distribution(logits, TokenHistory({}), options)) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST(Sampler, TiesAreKeptByTopKAndCutByTopP) {
  std::vector<float> logits{1, 1, 1, 1};
  SamplingOptions options;
  options.top_k = 2;
  EXPECT_THAT(kept(logits, options), testing::ElementsAre(0, 1, 2, 3));
  options.top_k = 0, options.top_p = 0.5;
  EXPECT_THAT(kept(logits, options), testing::ElementsAre(2, 3));
  options.top_p = 1, options.min_p = 1;
  EXPECT_THAT(kept(logits, options), testing::ElementsAre(0, 1, 2, 3));
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargestAfterPenalties) {
  std::vector<float> logits{0, 4, 4, 1};
  SamplingOptions options;
  CounterRandom random(1);
  options.greedy = true;
  EXPECT_EQ(sample(logits, TokenHistory({}), options, random), 1);
  options.greedy = false, options.temperature = 0;
  EXPECT_EQ(sample(logits, TokenHistory({}), options, random), 1);
  options.repetition_penalty = 1.1;
  EXPECT_EQ(sample(logits, TokenHistory(std::vector<int64_t>{1, 99, -5}), options, random), 2);
  EXPECT_EQ(random.counter(), 0u);
}

TEST(Sampler, SuppressedAndClosingTokensDoNotCome) {
  std::vector<float> logits{5, 4, 3, 2};
  SamplingOptions options;
  options.greedy = true, options.suppressed = {0, 70}, options.suppressed_at_first = {1}, options.min_tokens = 2;
  CounterRandom random(1);
  TokenHistory history({});
  const std::vector<int64_t> closing{2};
  EXPECT_EQ(sample(logits, history, options, random, closing), 3);
  history.add(3);
  EXPECT_EQ(sample(logits, history, options, random, closing), 1);
  history.add(1);
  options.suppressed_at_first = {}, options.suppressed = {0, 1};
  EXPECT_EQ(sample(logits, history, options, random, closing), 2);
}

TEST(Sampler, SamplesFollowTheDistribution) {
  auto logits = random_logits(40, 4, 1);
  SamplingOptions options;
  options.top_p = 0.8;
  std::map<int64_t, double> expected;
  for (auto [id, probability] : next_token_distribution(logits, TokenHistory({}), options)) expected[id] = probability;
  std::map<int64_t, int> counts;
  constexpr int kTrials = 20000;
  for (int i = 0; i < kTrials; ++i) {
    CounterRandom random(7, 0, i);
    ++counts[sample(logits, TokenHistory({}), options, random)];
    ASSERT_EQ(random.counter(), static_cast<uint64_t>(i) + 1);  // exactly one number a token
  }
  double chi_squared = 0;
  for (auto [id, probability] : expected)
    chi_squared += std::pow(counts[id] - kTrials * probability, 2) / (kTrials * probability);
  double freedom = static_cast<double>(expected.size()) - 1;
  EXPECT_EQ(counts.size(), expected.size());
  EXPECT_LT(chi_squared, freedom + 4 * std::sqrt(2 * freedom));
}

TEST(Sampler, ExtremeNumbersStayFinite) {
  std::vector<float> logits{1e30f, -1e30f, std::numeric_limits<float>::quiet_NaN(),
                            -std::numeric_limits<float>::infinity(), 1e30f};
  SamplingOptions options;
  options.temperature = 1e-300, options.top_k = 3, options.top_p = 0.99;
  EXPECT_THAT(kept(logits, options), testing::ElementsAre(0, 4));
  std::vector<float> broken(5, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(next_token_distribution(broken, TokenHistory({}), options), Error);
}

TEST(Sampler, OptionsOutOfRangeNameTheirFlag) {
  auto message = [](auto change) -> std::string {
    SamplingOptions options;
    change(options);
    try {
      validate(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([](auto&) {}), "");
  EXPECT_EQ(message([](auto& o) { o.temperature = -1; }), "--temperature: found -1, expected a number of at least 0");
  EXPECT_EQ(message([](auto& o) { o.temperature = NAN; }), "--temperature: found nan, expected a number of at least 0");
  EXPECT_EQ(message([](auto& o) { o.top_p = 1.5; }), "--top-p: found 1.5, expected a number from 0 to 1");
  EXPECT_EQ(message([](auto& o) { o.top_k = -2; }), "--top-k: found -2, expected a whole number of at least 0");
  EXPECT_EQ(message([](auto& o) { o.min_p = -0.1; }), "--min-p: found -0.1, expected a number from 0 to 1");
  EXPECT_EQ(message([](auto& o) { o.max_tokens = 0; }), "--max-tokens: found 0, expected a whole number of at least 1");
  EXPECT_EQ(message([](auto& o) { o.repetition_penalty = 0; }),
            "--repetition-penalty: found 0, expected a number greater than 0");
  EXPECT_EQ(message([](auto& o) { o.stop = {"a", ""}; }), "--stop: found an empty string, expected text");
}

}  // namespace
}  // namespace nuri
