#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/random.h"

namespace nuri {

// How the next token is chosen. The defaults change nothing: samples come from the model's own distribution.
struct SamplingOptions {
  bool greedy = false;                       // always the likeliest token; so is temperature 0
  double temperature = 1.0;                  // at least 0
  int64_t top_k = 0;                         // only the k likeliest tokens, and those as likely as the k-th; 0: all
  double top_p = 1.0;                        // only the likeliest tokens that together reach this probability
  double min_p = 0.0;                        // only tokens at least this times as likely as the likeliest
  double repetition_penalty = 1.0;           // of what prompt and answer already hold; above 1 discourages
  double presence_penalty = 0.0;             // taken from the logit of what the answer already holds
  double frequency_penalty = 0.0;            // the same, times how often
  std::vector<int64_t> suppressed;           // ids that never come
  std::vector<int64_t> suppressed_at_first;  // ids that do not come as the first token
  int64_t min_tokens = 0;                    // no closing token comes before so many others
  uint64_t seed = 0;
  int64_t max_tokens = 1024;
  std::vector<std::string> stop;  // the text ends before the first of these

  bool is_greedy() const { return greedy || temperature == 0; }
};

// Throws Error(usage) that names the flag: "--temperature: found -1, expected a number of at least 0".
void validate(const SamplingOptions& options);

// What a sequence holds so far, as the penalties count it.
class TokenHistory {
 public:
  explicit TokenHistory(std::span<const int64_t> prompt) : seen_(prompt.begin(), prompt.end()) {}
  void add(int64_t id) {
    seen_.insert(id);
    ++counts_[id];
    ++generated_;
  }
  const std::unordered_set<int64_t>& seen() const { return seen_; }               // in prompt and answer
  const std::unordered_map<int64_t, int64_t>& counts() const { return counts_; }  // in the answer
  int64_t generated() const { return generated_; }

 private:
  std::unordered_set<int64_t> seen_;
  std::unordered_map<int64_t, int64_t> counts_;
  int64_t generated_ = 0;
};

struct Candidate {
  int64_t id;
  double probability;
};

// The tokens that may come next and their probabilities, which sum to 1. In the order of Hugging Face's logits
// processors: repetition penalty (Keskar et al. 2019), then presence and frequency penalties as OpenAI defines them,
// suppressed ids, temperature, top-k, top-p (Holtzman et al. 2020), min-p (Nguyen et al. 2024). `closing`: the ids
// that end the text, for `min_tokens`. Greedy options give the likeliest token alone, the first of equals. Throws
// Error(internal) when no logit is a number.
std::vector<Candidate> next_token_distribution(std::span<const float> logits, const TokenHistory& history,
                                               const SamplingOptions& options, std::span<const int64_t> closing = {});

// One of them, by a race: token i arrives after E_i / p_i, where E_i is exponentially distributed and made of the next
// number of `random` and of i alone, and the first to arrive is the sample. So for one number two distributions that
// are alike mostly give the same token, which is what lets a draft foretell a sample (Daliri, Musco and Suresh 2024).
// Takes exactly one number of `random` unless the options are greedy.
int64_t sample(std::span<const float> logits, const TokenHistory& history, const SamplingOptions& options,
               CounterRandom& random, std::span<const int64_t> closing = {});

// The first `count` of that race, or fewer where fewer may come, the sample in front; greedy: of the likeliest.
std::vector<int64_t> first_samples(std::span<const float> logits, const TokenHistory& history,
                                   const SamplingOptions& options, CounterRandom& random, size_t count,
                                   std::span<const int64_t> closing = {});

}  // namespace nuri
