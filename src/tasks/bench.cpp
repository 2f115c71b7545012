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
#include "tasks/draft.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"

namespace nuri {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 31;

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

// One step of one sequence on the given ids: the logits of the last alone.
void run_step(CausalLM& model, nn::KvCache& cache, nn::CachedSequence& sequence, const std::vector<int64_t>& ids) {
  int64_t count = static_cast<int64_t>(ids.size()), start = sequence.length();
  at::Tensor tensor = at::tensor(ids, at::kLong).to(model.device());
  Step step{model.embed_made(tensor),
            at::arange(start, start + count, at::kLong).to(model.device()),
            {{0, count, &sequence}},
            {count - 1}};
  model.step(step, cache);
}

struct Rates {
  double prefill, decode;
};

Rates measure(CausalLM& model, const BenchRequest& request, CounterRandom& random) {
  auto random_id = [&] { return static_cast<int64_t>(random.below(static_cast<uint64_t>(model.limits().vocabulary))); };
  int64_t positions = request.prompt_tokens + request.decoded_tokens;
  auto cache = make_cache(model, positions, positions);
  nn::CachedSequence sequence(*cache);
  std::vector<int64_t> prompt(request.prompt_tokens);
  for (auto& id : prompt) id = random_id();
  Stopwatch prefill;
  run_step(model, *cache, sequence, prompt);
  double prefill_s = prefill.seconds();
  Stopwatch decode;
  for (int64_t i = 0; i < request.decoded_tokens; ++i) {
    run_step(model, *cache, sequence, {random_id()});
    check_interrupt();
  }
  double decode_s = decode.seconds();
  return {static_cast<double>(request.prompt_tokens) / prefill_s,
          request.decoded_tokens > 0 ? static_cast<double>(request.decoded_tokens) / decode_s : 0};
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
    model.encode_pictures(picture);
    if (i > 0) times.push_back(watch.seconds());
  }
  return median(times);
}

}  // namespace

BenchResult bench(const BenchRequest& request) {
  if (request.prompt_tokens < 1)
    throw Error(ErrorKind::usage, fmt::format("-p: found {}, expected at least 1", request.prompt_tokens));
  if (request.prompt_tokens > kMostTokens || request.decoded_tokens > kMostTokens)
    throw Error(ErrorKind::usage, fmt::format("-p, -n: found {} and {}, expected at most {}", request.prompt_tokens,
                                              request.decoded_tokens, kMostTokens));
  if (request.decoded_tokens < 0)
    throw Error(ErrorKind::usage, fmt::format("-n: found {}, expected at least 0", request.decoded_tokens));
  if (request.repetitions < 1)
    throw Error(ErrorKind::usage, fmt::format("-r: found {}, expected at least 1", request.repetitions));
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
  CounterRandom random(1);
  std::vector<double> prefill, decode;
  for (int64_t i = 0; i <= request.repetitions; ++i) {  // the first warms up
    Rates rates = measure(*model, request, random);
    report_progress("bench", i, request.repetitions,
                    fmt::format("{:.1f} t/s, {:.1f} t/s", rates.prefill, rates.decode));
    if (i == 0) continue;
    prefill.push_back(rates.prefill);
    decode.push_back(rates.decode);
  }
  result.prefill_tokens_per_s = median(prefill);
  result.decode_tokens_per_s = median(decode);
  if (request.width > 0) {
    auto* eyes = dynamic_cast<MediaEncoder*>(opened.model.get());
    if (eyes == nullptr) throw Error(ErrorKind::usage, "--image: found a picture, but this model reads text alone");
    result.encode_s = measure_picture(*eyes, request);
  }
  if (request.speculation.asked() && request.decoded_tokens > 0)
    result.speculation = measure_speculation(*model, request, random);
  result.peak_rss_bytes = peak_rss();
  return result;
}

}  // namespace nuri
