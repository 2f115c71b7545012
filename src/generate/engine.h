#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "generate/finish_reason.h"
#include "generate/proposer.h"
#include "generate/sampler.h"
#include "generate/tend.h"
#include "models/parts/interface.h"

namespace nuri {

class RecordedDecode;
class Speculator;

struct EngineOptions {
  int64_t context = 0;          // positions of one sequence at most; 0: as many as the model was made for,
                                // beyond which rotary positions can go, with less sense
  int64_t cache_positions = 0;  // of all sequences together; 0: one context, or what half of the free memory holds
  int64_t step_rows = 512;      // of one step at most, but that every running sequence has its row
  nn::CacheType cache = nn::CacheType::native;
  // What ended sequences leave in the cache is read again by prompts that begin alike, the latest so many bytes of it,
  // as long as no sequence needs the room; 0: nothing.
  int64_t known_bytes = int64_t{512} << 20;
  bool record_steps = false;  // as on a GPU: steps of one row a sequence, where the model can (RecordedDecode)
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
  bool shares = true;        // without a prefix: may begin with what other sequences left in the cache
  bool keep_cached = false;  // keep the sequence in Generation::cached when it ends
  // Tokens that are weighed in place of new ones: nothing is generated, Generation::log_probability tells how likely
  // the model was to say these after the prompt.
  std::vector<int64_t> given;
  std::shared_ptr<const DraftPrompt> draft;  // what a draft model reads in place of the prompt; null: its tokens
  // Called with the logits [V] that weigh each of them, in order.
  std::function<void(std::span<const float> logits)> on_logits;
};

struct Generation {
  std::vector<int64_t> ids;  // generated so far, with the closing token
  FinishReason finish = FinishReason::running;
  int64_t prompt_tokens = 0;   // with the given ones that are read behind it
  int64_t reused_tokens = 0;   // of these, what the cache held already
  int64_t steps = 0;           // of the model, behind the one that gave the first token
  int64_t proposed = 0;        // tokens that were verified in these steps
  int64_t accepted = 0;        // of them, those that gave one more token in their step
  double log_probability = 0;  // of Request::given together: the natural logarithm
  double prefill_s = 0;        // from the first work on the prompt to the first token
  double decode_s = 0;         // from the first token to the last
  std::optional<nn::CachedSequence> cached;
};

class PrefixCache;

// Continuous batching (Yu et al. 2022): each step runs one row of every sequence that is decoding and pieces of the
// prompts that wait, together. A sequence is let in only when the cache can hold it to its very end, so that none is
// ever stuck. Its samples depend on its seed, its stream and its logits alone. A prompt that begins as another did
// shares its blocks (PrefixCache), and is computed from there on: its logits are those of a prompt that was read in two
// pieces, up to their rounding.
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

  // From now on guesses the next tokens of sequences submitted later, as many as pay, and verifies them in the step of
  // the token in front of them (Leviathan et al. 2023, Chen et al. 2023; in trees of two paths, SpecInfer, Miao et al.
  // 2024). Each row's sample is drawn by its own number, as it is without; a proposed token that is the same spares the
  // step that would have read it. So what the sequences say does not depend on what is proposed, nor on how much.
  // Null: guesses no more.
  void speculate(std::unique_ptr<Proposer> proposer);

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
  // How many steps were replayed from a recording.
  int64_t recorded_steps() const;

 private:
  struct Task;
  struct Piece;
  struct Batch;

  Task& task(Handle handle) const;
  Handle add(std::unique_ptr<Task> task);
  int64_t promised_blocks() const;
  void let_in();
  Batch collect();
  std::vector<std::vector<Path>> propose(const std::vector<Task*>& tasks);
  void go_on(Batch& batch, Task& task, std::vector<Path> paths);
  at::Tensor run(Batch& batch);
  void begin_answer(Task& task, std::span<const float> logits);
  void settle(Batch& batch, size_t first, const at::Tensor& logits);
  void verify(const Piece& piece, const at::Tensor& logits);
  int64_t next_token(Task& task, std::span<const float> logits);
  void accept(Task& task, int64_t id);
  void weigh(Task& task, std::span<const float> logits);
  void end(Task& task, FinishReason reason);
  bool shares(const Task& task) const;
  void remember(Task& task);

  CausalLM& model_;
  int64_t context_, step_rows_;
  std::unique_ptr<nn::KvCache> cache_;        // before the tasks: outlives their sequences
  std::unique_ptr<RecordedDecode> recorded_;  // null: every step is run as it comes
  Tending tending_;
  std::unique_ptr<PrefixCache> prefixes_;  // null: prompts share nothing
  std::map<Handle, std::unique_ptr<Task>> tasks_;
  Handle next_handle_ = 1;
  std::unique_ptr<Speculator> speculator_;
};

}  // namespace nuri
