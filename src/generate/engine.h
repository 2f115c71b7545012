#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/sampler.h"
#include "models/parts/interface.h"

namespace nuri {

enum class FinishReason {
  running,
  stop,         // the model closed its answer
  length,       // max_tokens, or the end of the context or of the cache
  stop_string,  // whoever reads the tokens wanted no more
  interrupted,  // cancelled
};
// "stop", "length", "stop_string", ...
std::string_view finish_name(FinishReason reason);

struct EngineOptions {
  int64_t context = 0;          // positions of one sequence at most; 0: as many as the model was made for,
                                // beyond which rotary positions can go, with less sense
  int64_t cache_positions = 0;  // of all sequences together; 0: one context, or what half of the free memory holds
  int64_t step_rows = 512;      // of one step at most, but that every running sequence has its row
};

// Called with each generated token but the closing one; false ends the sequence.
using TokenCallback = std::function<bool(int64_t id)>;

struct Request {
  std::vector<int64_t> ids;  // the prompt
  DecoderInput input;        // what the decoder reads (CausalLM::embed); without embeddings: made from the ids
  SamplingOptions sampling;
  std::vector<int64_t> eos;  // ids that close the answer
  uint64_t stream = 0;       // of random numbers: another one gives another sample for the same seed
  TokenCallback on_token;
  // What the cache already holds of this very prompt, from Generation::cached of this engine; at least the last
  // token is computed anew.
  std::optional<nn::CachedSequence> prefix;
  bool keep_cached = false;  // keep the sequence in Generation::cached when it ends
  // Tokens that are weighed in place of new ones: nothing is generated, Generation::log_probability tells how likely
  // the model was to say these after the prompt.
  std::vector<int64_t> given;
  // Called with the logits [V] that weigh each of them, in order.
  std::function<void(std::span<const float> logits)> on_logits;
};

struct Generation {
  std::vector<int64_t> ids;  // generated so far, with the closing token
  FinishReason finish = FinishReason::running;
  int64_t prompt_tokens = 0;   // with the given ones that are read behind it
  double log_probability = 0;  // of Request::given together: the natural logarithm
  double prefill_s = 0;        // from the first work on the prompt to the first token
  double decode_s = 0;         // from the first token to the last
  std::optional<nn::CachedSequence> cached;
};

// Continuous batching (Yu et al. 2022): each step runs one row of every sequence that is decoding and pieces of the
// prompts that wait, together. A sequence is let in only when the cache can hold it to its very end, so that none is
// ever stuck. Its samples depend on its seed, its stream and its logits alone.
//
// Not for several threads at once. A callback may call cancel(), and fork() and submit(), but not forget().
class Engine {
 public:
  using Handle = int64_t;

  // Throws Error(resource) when the cache asked for does not fit into memory, Error(usage) for options out of range.
  explicit Engine(CausalLM& model, const EngineOptions& options = {});
  ~Engine();

  // Throws Error(usage) for an empty prompt, one that the context cannot hold (with the given tokens but the last), an
  // input of another shape, or sampling options out of range, Error(resource) for a prompt that the cache cannot hold.
  Handle submit(Request request);

  // Another sample of a sequence that has not ended: shares its blocks, and goes on from where it is, with its own
  // stream of random numbers. Throws Error(usage) when it has ended or weighs given tokens, Error(resource) when the
  // cache could not hold both to their ends.
  Handle fork(Handle parent, uint64_t stream, TokenCallback on_token = {});

  // One step of the model; false: there was nothing to do. Throws Error(interrupted) between steps after Ctrl-C.
  // What a callback throws is rethrown when the step is over; its sequence has then ended.
  bool run_step();
  void run_until_done();

  void cancel(Handle handle);
  const Generation& generation(Handle handle) const;
  // Gives back what was generated and forgets the sequence, running or not.
  Generation forget(Handle handle);

  int64_t context() const { return context_; }
  const nn::KvCache& cache() const { return *cache_; }

 private:
  struct Task;
  struct Batch;

  Task& task(Handle handle) const;
  Handle add(std::unique_ptr<Task> task);
  int64_t promised_blocks() const;
  void let_in();
  Batch collect();
  void accept(Task& task, std::span<const float> logits);
  void weigh(Task& task, std::span<const float> logits);
  void end(Task& task, FinishReason reason);

  CausalLM& model_;
  int64_t context_, step_rows_;
  std::unique_ptr<nn::KvCache> cache_;  // before the tasks: outlives their sequences
  std::map<Handle, std::unique_ptr<Task>> tasks_;
  Handle next_handle_ = 1;
};

}  // namespace nuri
