#pragma once

#include <optional>

#include "common.h"
#include "speculate.h"

namespace nuri {

struct BenchRequest {
  ModelOptions model;
  int64_t prompt_tokens = 512, decoded_tokens = 128, repetitions = 5;
  // Positions that the cache holds before either begins. Not given: none before the prompt, and decoding follows the
  // prompt.
  std::optional<int64_t> depth;
  int64_t sequences = 1;          // at once
  int64_t width = 0, height = 0;  // of a picture to encode; 0: none
  // Where it asks for any: greedy answers to a prompt of random tokens that is said twice are measured with and
  // without.
  SpeculationOptions speculation;
};

struct BenchResult {  // medians; tokens of all sequences together
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0, encode_s = 0, load_s = 0;
  int64_t peak_rss_bytes = 0;
  int64_t decode_depth = 0;  // positions of each sequence in front of the first decoded token
  struct Speculation {
    double plain_tokens_per_s = 0, tokens_per_s = 0;  // of answers, sampling counted
    SpeculationCounts counts;                         // of the last one
  };
  std::optional<Speculation> speculation;
};

// Speed on random token ids: neither tokenizer nor sampling takes part.
BenchResult bench(const BenchRequest& request);

}  // namespace nuri
