#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "generate/sampler.h"

namespace nuri {

// What a model's folder says about generation; what it does not say is absent or empty.
struct GenerationConfig {
  std::vector<int64_t> eos;  // each of them ends an answer
  std::optional<int64_t> bos, pad;
  std::optional<bool> do_sample;
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k, max_new_tokens, max_length, min_new_tokens;
  std::vector<int64_t> suppressed, suppressed_at_first;
  std::vector<std::string> stop;
};

// Reads generation_config.json of a model's folder; the ids that it lacks come from config.json (its text_config
// where it has one), or from the metadata of a GGUF file. Keys that change what is generated and that are not supported
// are named through warn(). Throws Error(format) or Error(unsupported) for a value that cannot be.
GenerationConfig read_generation_config(const std::filesystem::path& folder);

// What a user asked for on the command line or in a request; absent: not asked.
struct SamplingFlags {
  bool greedy = false;
  std::optional<double> temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k, max_tokens;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
};

// A flag wins over the model's own value, which wins over the reference's default: greedy unless something asks for
// samples, and then top-k of 50. A flag that shapes samples asks for them. `prompt_tokens` counts towards the model's
// `max_length`. Throws Error(usage) that names the flag out of range.
SamplingOptions resolve_sampling(const GenerationConfig& config, const SamplingFlags& flags, int64_t prompt_tokens);

}  // namespace nuri
