#include "generate/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace nuri {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void expect(bool fits, const char* flag, double found, const char* expected) {
  if (!fits) throw Error(ErrorKind::usage, fmt::format("{}: found {}, expected {}", flag, found, expected));
}

void suppress(std::span<float> scores, std::span<const int64_t> ids) {
  for (int64_t id : ids)
    if (id >= 0 && id < static_cast<int64_t>(scores.size())) scores[id] = kNever;
}

void apply_penalties(std::span<float> scores, const TokenHistory& history, const SamplingOptions& options) {
  int64_t vocabulary = static_cast<int64_t>(scores.size());
  auto inside = [&](int64_t id) { return id >= 0 && id < vocabulary; };  // a prompt may hold ids of pictures
  if (options.repetition_penalty != 1.0) {
    float penalty = static_cast<float>(options.repetition_penalty);
    for (int64_t id : history.seen())
      if (inside(id)) scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
  }
  if (options.presence_penalty != 0 || options.frequency_penalty != 0)
    for (auto [id, count] : history.counts())
      if (inside(id))
        scores[id] -=
            static_cast<float>(options.presence_penalty + options.frequency_penalty * static_cast<double>(count));
}

// The index of the largest number, the first of equals.
size_t likeliest(std::span<const float> scores) {
  size_t best = scores.size();
  float largest = kNever;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > largest) largest = scores[best = i];
  if (best == scores.size() || !std::isfinite(largest))
    throw Error(ErrorKind::internal, fmt::format("the model's logits: found no finite largest among {} numbers, "
                                                 "expected one (float16 may have overflowed: try --dtype float32)",
                                                 scores.size()));
  return best;
}

// The k-th largest of the scores.
float kth_largest(std::span<const float> scores, int64_t k) {
  std::vector<float> copy(scores.begin(), scores.end());
  std::nth_element(copy.begin(), copy.begin() + (k - 1), copy.end(), std::greater<>());
  return copy[k - 1];
}

// Keeps the likeliest candidates: each whose betters together have less than `top_p` of the whole. Of equals the
// later id counts as the better one, as in the reference, which sorts ascending. Sorts no more than it needs.
void keep_top_p(std::vector<Candidate>& candidates, double top_p) {
  double whole = 0, before = 0;
  for (const auto& candidate : candidates) whole += candidate.probability;
  auto better = [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id > b.id;
  };
  auto begin = candidates.begin();
  for (size_t sorted = 0, piece = 64; sorted < candidates.size(); piece *= 4) {
    size_t end = std::min(candidates.size(), sorted + piece);
    std::partial_sort(begin + sorted, begin + end, candidates.end(), better);
    for (; sorted < end; ++sorted) {
      if (sorted > 0 && before >= top_p * whole) return candidates.resize(sorted);
      before += candidates[sorted].probability;
    }
  }
}

// What the penalties and the ids that may not come leave of the logits.
std::vector<float> adjusted(std::span<const float> logits, const TokenHistory& history, const SamplingOptions& options,
                            std::span<const int64_t> closing) {
  std::vector<float> scores(logits.begin(), logits.end());
  for (float& score : scores)
    if (std::isnan(score)) score = kNever;
  apply_penalties(scores, history, options);
  suppress(scores, options.suppressed);
  if (history.generated() == 0) suppress(scores, options.suppressed_at_first);
  if (history.generated() < options.min_tokens) suppress(scores, closing);
  return scores;
}

// A few that come first, in order: the lowest time first, of equals the one that was added first.
class Front {
 public:
  explicit Front(size_t most) : most_(most) {}
  // What is not below this does not come in.
  double limit() const { return in_.size() < most_ ? std::numeric_limits<double>::infinity() : in_.back().first; }
  void add(double time, int64_t id) {
    if (in_.size() == most_) in_.pop_back();
    auto behind = std::upper_bound(in_.begin(), in_.end(), time, [](double t, const auto& in) { return t < in.first; });
    in_.insert(behind, {time, id});
  }
  std::vector<int64_t> ids() const {
    std::vector<int64_t> ids;
    for (const auto& [time, id] : in_) ids.push_back(id);
    return ids;
  }

 private:
  size_t most_;
  std::vector<std::pair<double, int64_t>> in_;
};

}  // namespace

void validate(const SamplingOptions& options) {
  expect(options.temperature >= 0 && std::isfinite(options.temperature), "--temperature", options.temperature,
         "a number of at least 0");
  expect(options.top_k >= 0, "--top-k", static_cast<double>(options.top_k), "a whole number of at least 0");
  expect(options.top_p >= 0 && options.top_p <= 1, "--top-p", options.top_p, "a number from 0 to 1");
  expect(options.min_p >= 0 && options.min_p <= 1, "--min-p", options.min_p, "a number from 0 to 1");
  expect(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty), "--repetition-penalty",
         options.repetition_penalty, "a number greater than 0");
  expect(std::abs(options.presence_penalty) <= 2, "--presence-penalty", options.presence_penalty,
         "a number from -2 to 2");
  expect(std::abs(options.frequency_penalty) <= 2, "--frequency-penalty", options.frequency_penalty,
         "a number from -2 to 2");
  expect(options.max_tokens >= 1, "--max-tokens", static_cast<double>(options.max_tokens),
         "a whole number of at least 1");
  for (const auto& stop : options.stop) {
    if (stop.empty()) throw Error(ErrorKind::usage, "--stop: found an empty string, expected text");
    if ((static_cast<unsigned char>(stop[0]) & 0xC0) == 0x80)
      throw Error(ErrorKind::usage, "--stop: found bytes that begin inside a character, expected UTF-8 text");
  }
}

std::vector<Candidate> next_token_distribution(std::span<const float> logits, const TokenHistory& history,
                                               const SamplingOptions& options, std::span<const int64_t> closing) {
  std::vector<float> scores = adjusted(logits, history, options, closing);
  size_t best = likeliest(scores);
  if (options.is_greedy()) return {{static_cast<int64_t>(best), 1.0}};

  bool cut = options.top_k > 0 && options.top_k < static_cast<int64_t>(scores.size());
  float threshold = cut ? kth_largest(scores, options.top_k) : kNever;
  std::vector<Candidate> candidates;
  for (size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] < threshold) continue;
    // Relative to the largest: a small temperature cannot overflow.
    double weight = std::exp((static_cast<double>(scores[id]) - scores[best]) / options.temperature);
    if (weight > 0) candidates.push_back({static_cast<int64_t>(id), weight});
  }
  if (options.top_p < 1) keep_top_p(candidates, options.top_p);
  // The likeliest has the weight 1.
  if (options.min_p > 0) std::erase_if(candidates, [&](const Candidate& c) { return c.probability < options.min_p; });
  double whole = 0;
  for (const auto& candidate : candidates) whole += candidate.probability;
  for (auto& candidate : candidates) candidate.probability /= whole;
  return candidates;
}

int64_t sample(std::span<const float> logits, const TokenHistory& history, const SamplingOptions& options,
               CounterRandom& random, std::span<const int64_t> closing) {
  return first_samples(logits, history, options, random, 1, closing).front();
}

std::vector<int64_t> first_samples(std::span<const float> logits, const TokenHistory& history,
                                   const SamplingOptions& options, CounterRandom& random, size_t count,
                                   std::span<const int64_t> closing) {
  Front front(std::max<size_t>(count, 1));
  if (options.is_greedy()) {
    std::vector<float> scores = adjusted(logits, history, options, closing);
    likeliest(scores);  // there is one
    for (size_t id = 0; id < scores.size(); ++id)
      if (scores[id] > kNever && -static_cast<double>(scores[id]) < front.limit())
        front.add(-static_cast<double>(scores[id]), static_cast<int64_t>(id));
    return front.ids();
  }
  uint64_t race = random.next();
  for (const auto& [id, probability] : next_token_distribution(logits, history, options, closing)) {
    double place = CounterRandom(race, static_cast<uint64_t>(id)).uniform();
    if (place >= front.limit() * probability) continue;  // the time is at least the place
    double time = -std::log1p(-place) / probability;
    if (time < front.limit()) front.add(time, id);
  }
  return front.ids();
}

}  // namespace nuri
