#include "tasks/bench.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/random.h"
#include "base/report.h"
#include "generate/cache_plan.h"
#include "generate/engine.h"
#include "generate/prompt_lookup.h"
#include "generate/recorded_decode.h"
#include "tasks/draft.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"

namespace nuri {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31, kMostSequences = 1 << 16;

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

int64_t peak_rss() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

// A GPU works on when a call has returned.
void wait_for(const at::Tensor& made) {
  if (made.is_cuda()) made.flatten().narrow(0, 0, 1).cpu();
}

// Sequences of random ids beside each other.
class Sequences {
 public:
  Sequences(CausalLM& model, nn::KvCache& cache, int64_t count)
      : model_(model),
        cache_(cache),
        recorded_(model, cache),
        sequences_(static_cast<size_t>(count), nn::CachedSequence(cache)) {}

  // One step that appends `count` tokens to each of them: the logits of the last ones alone.
  void step(int64_t count) {
    Step step;
    std::vector<int64_t> ids, positions;
    for (nn::CachedSequence& sequence : sequences_) {
      step.sequences.push_back({static_cast<int64_t>(ids.size()), count, &sequence});
      for (int64_t i = 0; i < count; ++i) {
        ids.push_back(static_cast<int64_t>(random_.below(static_cast<uint64_t>(model_.limits().vocabulary))));
        positions.push_back(sequence.length() + i);
      }
      step.logit_rows.push_back(static_cast<int64_t>(ids.size()) - 1);
    }
    step.embeddings = model_.embed_made(at::tensor(ids, at::kLong).to(model_.device()));
    step.positions = at::tensor(positions, at::kLong).to(model_.device());
    const bool recorded = model_.device().is_cuda() && recorded_.takes(step);  // as the engine does
    wait_for(recorded ? recorded_.step(step) : model_.step(step, cache_));
    check_interrupt();
  }
  // Brings each of them to so many positions, in pieces as the engine takes them.
  void fill(int64_t positions) {
    constexpr int64_t kRows = 512;
    int64_t piece = std::max<int64_t>(1, kRows / static_cast<int64_t>(sequences_.size()));
    while (length() < positions) step(std::min(piece, positions - length()));
  }
  void truncate(int64_t length) {
    for (nn::CachedSequence& sequence : sequences_) sequence.truncate(length);
  }
  int64_t length() const { return sequences_.front().length(); }

 private:
  CausalLM& model_;
  nn::KvCache& cache_;
  RecordedDecode recorded_;
  std::vector<nn::CachedSequence> sequences_;
  CounterRandom random_{1};
};

struct Rates {
  double prefill, decode;
};

// Leaves the sequences as they were.
Rates measure(CausalLM& model, Sequences& sequences, const BenchRequest& request) {
  int64_t depth = sequences.length();
  auto rate = [&](int64_t tokens, double seconds) {
    return tokens > 0 ? static_cast<double>(tokens * request.sequences) / seconds : 0;
  };
  Stopwatch prefill;
  if (request.sequences == 1) {
    sequences.step(request.prompt_tokens);
  } else {
    sequences.fill(depth + request.prompt_tokens);
  }
  double prefill_s = prefill.seconds();
  if (request.depth) sequences.truncate(depth);
  Stopwatch decode;
  for (int64_t i = 0; i < request.decoded_tokens; ++i) sequences.step(1);
  double decode_s = decode.seconds();
  sequences.truncate(depth);
  return {rate(request.prompt_tokens, prefill_s), rate(request.decoded_tokens, decode_s)};
}

// What an answer does between its first tokens is done before those that are measured.
void tend_wholly(CausalLM& model, const BenchRequest& request) {
  while (request.decoded_tokens > 0 && model.tend()) check_interrupt();
}

void measure_text(CausalLM& model, const BenchRequest& request, BenchResult& result) {
  int64_t depth = request.depth.value_or(0);
  int64_t longest = request.depth ? depth + std::max(request.prompt_tokens, request.decoded_tokens)
                                  : request.prompt_tokens + request.decoded_tokens;
  longest = nn::KvCache::blocks_for(longest) * nn::KvCache::kBlock;
  auto cache = make_cache(model, longest, longest * request.sequences, cache_type(request.model));
  Sequences sequences(model, *cache, request.sequences);
  sequences.fill(depth);
  std::vector<double> prefill, decode;
  for (int64_t i = 0; i <= request.repetitions; ++i) {  // the first warms up
    Rates rates = measure(model, sequences, request);
    report_progress("bench", i, request.repetitions,
                    fmt::format("{:.1f} t/s, {:.1f} t/s", rates.prefill, rates.decode));
    if (i == 0) {
      tend_wholly(model, request);
      continue;
    }
    prefill.push_back(rates.prefill);
    decode.push_back(rates.decode);
  }
  result.prefill_tokens_per_s = median(prefill);
  result.decode_tokens_per_s = median(decode);
  result.decode_depth = request.depth.value_or(request.prompt_tokens);
}

// A greedy answer of so many tokens, which no closing token ends.
Generation answer(Engine& engine, const std::vector<int64_t>& ids, int64_t tokens) {
  Request asked;
  asked.ids = ids;
  asked.sampling.greedy = true;
  asked.sampling.max_tokens = tokens;
  auto handle = engine.submit(std::move(asked));
  engine.run_until_done();
  return engine.forget(handle);
}

BenchResult::Speculation measure_speculation(CausalLM& model, const BenchRequest& request, CounterRandom& random) {
  std::optional<Draft> draft;
  if (!request.speculation.draft.empty()) {
    draft.emplace(request.speculation.draft, request.model);
    draft->expect_vocabulary(model, request.model.model);
  }
  std::vector<int64_t> ids(static_cast<size_t>((request.prompt_tokens + 1) / 2));
  for (auto& id : ids) id = static_cast<int64_t>(random.below(static_cast<uint64_t>(model.limits().vocabulary)));
  for (size_t i = 0, half = ids.size(); std::ssize(ids) < request.prompt_tokens; ++i) ids.push_back(ids[i % half]);
  EngineOptions options;
  options.context = request.prompt_tokens + request.decoded_tokens;
  Engine engine(model, options);
  BenchResult::Speculation result;
  std::vector<double> plain, speculated;
  for (int64_t i = 0; i <= request.repetitions; ++i)
    for (auto* rates : {&plain, &speculated}) {
      std::unique_ptr<Proposer> proposer;
      if (rates == &speculated && draft) proposer = draft->proposer(model, options.context);
      if (rates == &speculated && !draft) proposer = std::make_unique<PromptLookup>();
      engine.speculate(std::move(proposer));
      Generation done = answer(engine, ids, request.decoded_tokens);
      if (i > 0 && done.ids.size() > 1) rates->push_back(static_cast<double>(done.ids.size() - 1) / done.decode_s);
      result.counts = {done.steps, done.proposed, done.accepted};
    }
  result.plain_tokens_per_s = median(plain);
  result.tokens_per_s = median(speculated);
  return result;
}

// Seconds to encode one picture of random pixels, its processing not counted.
double measure_picture(MediaEncoder& model, const BenchRequest& request) {
  NamedTensors picture = picture_of_size(find_model(request.model.model), model, request.width, request.height);
  picture["pixel_values"].normal_();
  std::vector<double> times;
  for (int64_t i = 0; i <= request.repetitions; ++i) {
    Stopwatch watch;
    wait_for(model.encode_pictures(picture));
    if (i > 0) times.push_back(watch.seconds());
  }
  return median(times);
}

void check(const BenchRequest& request) {
  auto expect = [](const char* flag, int64_t found, int64_t least, int64_t most) {
    if (found < least || found > most)
      throw Error(ErrorKind::usage, fmt::format("{}: found {}, expected {} to {}", flag, found, least, most));
  };
  expect("-p", request.prompt_tokens, 1, kMostTokens);
  expect("-n", request.decoded_tokens, 0, kMostTokens);
  expect("-d", request.depth.value_or(0), 0, kMostTokens);
  expect("--sequences", request.sequences, 1, kMostSequences);
  expect("-r", request.repetitions, 1, kMostTokens);
  cache_type(request.model);
}

}  // namespace

BenchResult bench(const BenchRequest& request) {
  check(request);
  int64_t most_pixels = PictureLimits().max_pixels;
  if (request.width > 0 && request.height > most_pixels / request.width)
    throw Error(ErrorKind::usage, fmt::format("--image: found {}x{}, expected at most {} pixels", request.width,
                                              request.height, most_pixels));
  check_speculation(request.speculation);
  BenchResult result;
  Stopwatch load;
  OpenedModel opened = open_model(request.model);
  result.load_s = load.seconds();
  auto* model = dynamic_cast<CausalLM*>(opened.model.get());
  if (model == nullptr) throw Error(ErrorKind::usage, "bench measures models that continue a text; this one does not");
  c10::InferenceMode inference;
  measure_text(*model, request, result);
  if (request.width > 0) {
    auto* eyes = dynamic_cast<MediaEncoder*>(opened.model.get());
    if (eyes == nullptr) throw Error(ErrorKind::usage, "--image: found a picture, but this model reads text alone");
    result.encode_s = measure_picture(*eyes, request);
  }
  if (request.speculation.asked() && request.decoded_tokens > 0) {
    CounterRandom random(1);
    result.speculation = measure_speculation(*model, request, random);
  }
  result.peak_rss_bytes = peak_rss();
  return result;
}

}  // namespace nuri
