#include "generate/generation_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/config_reader.h"
#include "base/report.h"
#include "weights/model_config.h"

namespace nuri {
namespace {

constexpr int64_t kReferenceTopK = 50;

// Keys whose value may change what is generated, with the value that changes nothing (beside null).
struct Unsupported {
  const char* key;
  double neutral;
};
constexpr std::array kUnsupported{
    Unsupported{"num_beams", 1},
    Unsupported{"num_beam_groups", 1},
    Unsupported{"diversity_penalty", 0},
    Unsupported{"penalty_alpha", 0},
    Unsupported{"typical_p", 1},
    Unsupported{"epsilon_cutoff", 0},
    Unsupported{"eta_cutoff", 0},
    Unsupported{"guidance_scale", 1},
    Unsupported{"encoder_repetition_penalty", 1},
    Unsupported{"no_repeat_ngram_size", 0},
    Unsupported{"encoder_no_repeat_ngram_size", 0},
    Unsupported{"min_length", 0},
    Unsupported{"remove_invalid_values", 0},
    Unsupported{"token_healing", 0},
};

// Keys that concern the reference's own machinery, beams, or output beside the tokens.
constexpr std::array kHarmless{"transformers_version",
                               "_from_model_config",
                               "_commit_hash",
                               "use_cache",
                               "cache_implementation",
                               "cache_config",
                               "max_cache_len",
                               "return_legacy_cache",
                               "output_attentions",
                               "output_hidden_states",
                               "output_scores",
                               "output_logits",
                               "return_dict_in_generate",
                               "num_return_sequences",
                               "early_stopping",
                               "length_penalty",
                               "low_memory",
                               "decoder_start_token_id",
                               "is_assistant",
                               "num_assistant_tokens",
                               "num_assistant_tokens_schedule",
                               "assistant_confidence_threshold",
                               "prompt_lookup_num_tokens",
                               "max_matching_ngram_size",
                               "assistant_early_exit",
                               "assistant_lookbehind",
                               "target_lookbehind",
                               "assistant_ensemble_weight",
                               "speculation_type",
                               "use_mtp",
                               "compile_config",
                               "disable_compile",
                               "continuous_batching_config",
                               "prefill_chunk_size",
                               "renormalize_logits",
                               "chat_format",
                               "max_window_size",
                               "task_specific_params",
                               "generation_kwargs"};

// One id or a list of them, as `eos_token_id` is written.
std::vector<int64_t> ids(const ConfigReader& config, const char* key) {
  if (!config.has(key)) return {};
  Json value = config.required<Json>(key);
  if (!value.is_array()) value = Json::array({value});
  std::vector<int64_t> found;
  for (const Json& id : value) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0) config.reject(key, "an id or a list of ids");
    found.push_back(id.get<int64_t>());
  }
  return found;
}

std::optional<int64_t> one_id(const ConfigReader& config, const char* key) {
  auto found = ids(config, key);
  return found.empty() ? std::nullopt : std::optional(found[0]);
}

std::optional<double> number(const ConfigReader& config, const char* key, double least, double most,
                             const char* expected) {
  auto value = config.maybe<double>(key);
  if (value && !(*value >= least && *value <= most)) config.reject(key, expected);
  return value;
}

std::optional<int64_t> count(const ConfigReader& config, const char* key, int64_t least) {
  auto value = config.maybe<int64_t>(key);
  if (value && *value < least) config.reject(key, fmt::format("a whole number of at least {}", least));
  return value;
}

void read_text_ids(const ConfigReader& config, GenerationConfig& found) {
  if (found.eos.empty()) found.eos = ids(config, "eos_token_id");
  if (!found.bos) found.bos = one_id(config, "bos_token_id");
  if (!found.pad) found.pad = one_id(config, "pad_token_id");
}

bool changes_nothing(const Json& value, double neutral) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return value.get<bool>() == (neutral != 0);
  return value.is_number() && value.get<double>() == neutral;
}

void warn_of_the_rest(const ConfigReader& config, const std::vector<std::string>& known) {
  for (const auto& [key, value] : config.json().items()) {
    const std::string& name = key;
    auto is_name = [&](const auto& other) { return name == other; };
    if (value.is_null() || std::any_of(known.begin(), known.end(), is_name) ||
        std::any_of(kHarmless.begin(), kHarmless.end(), is_name))
      continue;
    auto rule = std::find_if(kUnsupported.begin(), kUnsupported.end(),
                             [&](const Unsupported& other) { return name == other.key; });
    if (rule != kUnsupported.end() && changes_nothing(value, rule->neutral)) continue;
    if (value.is_array() && value.empty()) continue;
    warn(fmt::format("{} is ignored: it is not supported, and answers may differ from the reference's",
                     config.where(key)));
  }
}

std::vector<std::string> strings(const ConfigReader& config, const char* key) {
  if (!config.has(key)) return {};
  if (config.required<Json>(key).is_string()) return {config.required<std::string>(key)};
  return config.required<std::vector<std::string>>(key);
}

void read_own(const ConfigReader& config, GenerationConfig& found) {
  constexpr double kMost = 1e30;
  read_text_ids(config, found);
  found.do_sample = config.maybe<bool>("do_sample");
  found.temperature = number(config, "temperature", 0, kMost, "a number of at least 0");
  found.top_p = number(config, "top_p", 0, 1, "a number from 0 to 1");
  found.min_p = number(config, "min_p", 0, 1, "a number from 0 to 1");
  found.top_k = count(config, "top_k", 0);
  found.repetition_penalty = number(config, "repetition_penalty", 1e-30, kMost, "a number greater than 0");
  found.max_new_tokens = count(config, "max_new_tokens", 1);
  found.max_length = count(config, "max_length", 1);
  found.min_new_tokens = count(config, "min_new_tokens", 0);
  found.suppressed = ids(config, "suppress_tokens");
  found.suppressed_at_first = ids(config, "begin_suppress_tokens");
  found.stop = strings(config, "stop_strings");
  warn_of_the_rest(config, {"eos_token_id", "bos_token_id", "pad_token_id", "do_sample", "temperature", "top_p",
                            "min_p", "top_k", "repetition_penalty", "max_new_tokens", "max_length", "min_new_tokens",
                            "suppress_tokens", "begin_suppress_tokens", "stop_strings"});
}

}  // namespace

GenerationConfig read_generation_config(const std::filesystem::path& folder) {
  GenerationConfig found;
  std::error_code ignored;  // an unreadable folder is the model loader's to report
  if (auto path = folder / "generation_config.json"; std::filesystem::exists(path, ignored))
    read_own(ConfigReader(read_json_file(path), path.string()), found);
  if (is_gguf_model(folder) || std::filesystem::exists(folder / "config.json", ignored)) {
    ConfigReader config = model_config(folder);
    read_text_ids(config, found);
    if (config.has("text_config")) read_text_ids(config.child("text_config"), found);
  }
  return found;
}

SamplingOptions resolve_sampling(const GenerationConfig& config, const SamplingFlags& flags, int64_t prompt_tokens) {
  SamplingOptions options;
  bool asked = flags.temperature || flags.top_k || flags.top_p || flags.min_p;
  options.greedy = flags.greedy || !(asked || config.do_sample.value_or(false));
  auto choose = [](const auto& flag, const auto& own, auto fallback) { return flag ? *flag : own.value_or(fallback); };
  options.temperature = choose(flags.temperature, config.temperature, 1.0);
  options.top_k = choose(flags.top_k, config.top_k, kReferenceTopK);
  options.top_p = choose(flags.top_p, config.top_p, 1.0);
  options.min_p = choose(flags.min_p, config.min_p, 0.0);
  options.repetition_penalty = choose(flags.repetition_penalty, config.repetition_penalty, 1.0);
  options.presence_penalty = flags.presence_penalty.value_or(0);
  options.frequency_penalty = flags.frequency_penalty.value_or(0);
  options.seed = flags.seed.value_or(0);
  options.suppressed = config.suppressed;
  options.suppressed_at_first = config.suppressed_at_first;
  options.min_tokens = config.min_new_tokens.value_or(0);
  if (flags.max_tokens)
    options.max_tokens = *flags.max_tokens;
  else if (config.max_new_tokens)
    options.max_tokens = *config.max_new_tokens;
  else if (config.max_length)
    options.max_tokens = std::max<int64_t>(*config.max_length - prompt_tokens, 1);
  options.stop = config.stop;
  options.stop.insert(options.stop.end(), flags.stop.begin(), flags.stop.end());
  validate(options);
  return options;
}

}  // namespace nuri
