#include "generate/engine.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <exception>

#include "base/error.h"
#include "base/report.h"
#include "generate/cache_plan.h"

namespace nuri {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

at::Tensor to_tensor(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

// Throws Error(usage) for tensors that no model gives.
void check(const DecoderInput& input, int64_t width) {
  const at::Tensor& rows = input.embeddings;
  if (rows.dim() != 2 || rows.size(1) != width)
    throw Error(ErrorKind::usage, fmt::format("the prompt's embeddings: found shape [{}], expected [tokens, {}]",
                                              fmt::join(rows.sizes(), ", "), width));
  if (!input.positions.defined()) return;
  at::IntArrayRef shape = input.positions.sizes();
  if (shape != at::IntArrayRef({rows.size(0)}) && shape != at::IntArrayRef({3, rows.size(0)}))
    throw Error(ErrorKind::usage, fmt::format("the prompt's positions: found shape [{}], expected [{}] or [3, {}]",
                                              fmt::join(shape, ", "), rows.size(0), rows.size(0)));
}

// Throws Error(usage) for tokens that the model does not have.
void check_given(const std::vector<int64_t>& given, int64_t vocabulary) {
  for (int64_t id : given)
    if (id < 0 || id >= vocabulary)
      throw Error(ErrorKind::usage, fmt::format("the given tokens: found {}, expected 0 to {}", id, vocabulary - 1));
}

// The prompt with further tokens [n, D] behind it.
void append(DecoderInput& input, const at::Tensor& further) {
  int64_t known = input.embeddings.size(0);
  if (input.positions.defined()) {
    at::Tensor next = at::arange(known, known + further.size(0), at::kLong) + input.shift;
    if (input.positions.dim() == 2) next = next.expand({3, -1});
    input.positions = at::cat({input.positions, next}, -1);
  }
  input.embeddings = at::cat({input.embeddings, further.to(input.embeddings.options())});
}

// The natural logarithm of the softmax of one of them.
double log_share(std::span<const float> logits, int64_t id) {
  double largest = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float logit : logits) sum += std::exp(logit - largest);
  return logits[static_cast<size_t>(id)] - largest - std::log(sum);
}

// Positions of a step's rows, one after the other.
class StepPositions {
 public:
  // Rows [past, past + count) of a sequence.
  void add(const DecoderInput& input, int64_t past, int64_t count) {
    int64_t known = input.positions.defined() ? input.embeddings.size(0) : 0;
    for (int64_t plane = 0; plane < 3; ++plane)
      for (int64_t i = past; i < past + count; ++i) planes_[plane].push_back(i + input.shift);
    if (past >= known) return;
    at::Tensor given = input.positions.dim() == 2 ? input.positions : input.positions.expand({3, known});
    given = given.contiguous();
    flat_ = flat_ && input.positions.dim() == 1;
    for (int64_t plane = 0; plane < 3; ++plane)
      std::copy_n(given.const_data_ptr<int64_t>() + plane * known + past, count, planes_[plane].end() - count);
  }

  // [T], or [3, T] where a row has three.
  at::Tensor tensor(at::Device device) const {
    if (flat_) return to_tensor(planes_[0], device);
    return at::stack({to_tensor(planes_[0], device), to_tensor(planes_[1], device), to_tensor(planes_[2], device)});
  }

 private:
  std::array<std::vector<int64_t>, 3> planes_;
  bool flat_ = true;
};

}  // namespace

std::string_view finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::running:
      return "running";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::stop_string:
      return "stop_string";
    case FinishReason::interrupted:
      return "interrupted";
  }
  return "";
}

struct Engine::Task {
  explicit Task(Request asked) : request(std::move(asked)), history(request.ids) {
    generation.prompt_tokens = request.input.embeddings.size(0);
  }

  bool running() const { return generation.finish == FinishReason::running; }
  bool decoding() const { return running() && !generation.ids.empty(); }
  bool weighs() const { return !request.given.empty(); }
  int64_t prompt() const { return generation.prompt_tokens; }  // with the given tokens that are read behind it
  // Positions in the cache at the very end: the last token is never read again.
  int64_t final_length() const { return prompt() + most_tokens - 1; }

  // Blocks that it and the forks waiting for its prompt may still take.
  int64_t promised_blocks() const {
    int64_t a_fork = nn::KvCache::blocks_for(final_length()) - prompt() / nn::KvCache::kBlock;
    return sequence->blocks_to_reserve(final_length() - sequence->length()) +
           static_cast<int64_t>(waiting_forks.size()) * a_fork;
  }

  Request request;
  TokenHistory history;
  Generation generation;
  int64_t most_tokens = 0;
  size_t weighed = 0;                          // of the given tokens
  std::optional<nn::CachedSequence> sequence;  // absent: not yet let in, or ended
  std::vector<Handle> waiting_forks;           // they begin when the prompt is done
  bool waits_for_parent = false;
  std::optional<Clock::time_point> started, first_token;
};

// What one step runs: rows of several tasks.
struct Engine::Batch {
  struct Piece {
    Task* task;
    int64_t begin, count;
    int64_t wanted;  // so many last rows' logits give a token, or the weight of one
  };
  std::vector<Piece> pieces;
  int64_t rows = 0;

  void add(Task& task, int64_t count, int64_t wanted) {
    pieces.push_back({&task, rows, count, wanted});
    rows += count;
  }
};

Engine::Engine(CausalLM& model, const EngineOptions& options) : model_(model), step_rows_(options.step_rows) {
  if (options.step_rows < 1)
    throw Error(ErrorKind::usage, fmt::format("step_rows: found {}, expected at least 1", options.step_rows));
  if (options.context < 0)
    throw Error(ErrorKind::usage, fmt::format("context: found {}, expected at least 0", options.context));
  context_ = options.context > 0 ? options.context : model.limits().context;
  cache_ = make_cache(model, context_, options.cache_positions);
}

Engine::~Engine() = default;

Engine::Task& Engine::task(Handle handle) const {
  auto found = tasks_.find(handle);
  if (found == tasks_.end()) throw Error(ErrorKind::internal, fmt::format("the engine knows no sequence {}", handle));
  return *found->second;
}

Engine::Handle Engine::add(std::unique_ptr<Task> task) {
  tasks_.emplace(next_handle_, std::move(task));
  return next_handle_++;
}

Engine::Handle Engine::submit(Request request) {
  validate(request.sampling);
  check_given(request.given, model_.limits().vocabulary);
  bool made = request.input.embeddings.defined();
  int64_t prompt = made ? request.input.embeddings.size(0) : static_cast<int64_t>(request.ids.size());
  if (prompt == 0) throw Error(ErrorKind::usage, "the prompt: found no token, expected at least one");
  auto given = static_cast<int64_t>(request.given.size());
  int64_t read = prompt + std::max<int64_t>(given - 1, 0);  // the last one is weighed, not read
  if (read > context_)
    throw Error(ErrorKind::usage,
                fmt::format("the prompt: found {} tokens, expected at most {}, the context's length", read, context_));
  int64_t room = cache_->blocks() * nn::KvCache::kBlock;
  if (read > room)
    throw Error(ErrorKind::resource,
                fmt::format("the prompt: found {} tokens, expected at most {}, for which the key-value cache has room",
                            read, room));
  if (!made) {
    at::NoGradGuard no_gradients;
    at::Tensor ids = to_tensor(request.ids, model_.device());
    request.input = std::move(model_.embed({{"input_ids", ids.unsqueeze(0)}}).front());
  }
  check(request.input, model_.limits().width);
  if (read > prompt) {
    at::NoGradGuard no_gradients;
    append(request.input,
           model_.embed_made(to_tensor({request.given.begin(), request.given.end() - 1}, model_.device())));
  }
  if (request.prefix) request.prefix->truncate(prompt - 1);
  auto task = std::make_unique<Task>(std::move(request));
  task->most_tokens = given > 0 ? 1 : std::min(task->request.sampling.max_tokens, std::min(context_, room) - read + 1);
  return add(std::move(task));
}

Engine::Handle Engine::fork(Handle parent_handle, uint64_t stream, TokenCallback on_token) {
  Task& parent = task(parent_handle);
  if (!parent.running()) throw Error(ErrorKind::usage, "fork: found a sequence that has ended, expected a running one");
  if (parent.weighs())
    throw Error(ErrorKind::usage, "fork: found a sequence of given tokens, expected one that generates its own");
  auto child = std::make_unique<Task>(parent.request);
  child->request.stream = stream;
  child->request.on_token = std::move(on_token);
  child->request.prefix.reset();
  child->history = parent.history;
  child->generation = parent.generation;
  child->most_tokens = parent.most_tokens;
  child->started = parent.started;
  child->first_token = parent.first_token;
  bool waits = child->waits_for_parent = !parent.decoding();
  if (waits) {
    parent.waiting_forks.push_back(next_handle_);
  } else {
    child->sequence = parent.sequence->fork();
  }
  Handle handle = add(std::move(child));
  if (!parent.sequence || promised_blocks() <= cache_->free_blocks()) return handle;
  tasks_.erase(handle);
  if (waits) parent.waiting_forks.pop_back();
  throw Error(ErrorKind::resource,
              fmt::format("fork: found {} free blocks of the key-value cache, of which running sequences may need {}, "
                          "expected enough for one more of up to {} positions",
                          cache_->free_blocks(), promised_blocks(), parent.final_length()));
}

int64_t Engine::promised_blocks() const {
  int64_t promised = 0;
  for (const auto& [handle, task] : tasks_)
    if (task->sequence) promised += task->promised_blocks();
  return promised;
}

// In order of arrival; one that must wait keeps those behind it waiting, so that long prompts are not starved.
void Engine::let_in() {
  for (auto& [handle, task] : tasks_) {
    if (!task->running() || task->sequence || task->waits_for_parent) continue;
    // Moved, not shared: a second owner of the last block would ask for room to copy it.
    bool prefixed = task->request.prefix.has_value();
    task->sequence = prefixed ? std::exchange(task->request.prefix, {}) : nn::CachedSequence(*cache_);
    task->sequence->keep(task->request.input.slots);
    if (promised_blocks() > cache_->free_blocks()) {
      auto held = std::exchange(task->sequence, {});
      if (prefixed) task->request.prefix = std::move(held);
      return;
    }
  }
}

Engine::Batch Engine::collect() {
  Batch batch;
  for (auto& [handle, task] : tasks_)
    if (task->sequence && task->decoding()) batch.add(*task, 1, 1);
  for (auto& [handle, task] : tasks_) {
    if (!task->sequence || !task->running() || task->decoding() || batch.rows >= step_rows_) continue;
    int64_t left = task->prompt() - task->sequence->length();
    int64_t count = std::min(left, step_rows_ - batch.rows);
    int64_t last = std::max<int64_t>(1, static_cast<int64_t>(task->request.given.size()));
    batch.add(*task, count, std::clamp<int64_t>(count - (left - last), 0, count));
  }
  return batch;
}

bool Engine::run_step() {
  check_interrupt();
  at::NoGradGuard no_gradients;
  let_in();
  Batch batch = collect();
  if (batch.pieces.empty()) {
    for (auto& [handle, task] : tasks_)
      if (task->running())
        throw Error(
            ErrorKind::resource,
            fmt::format("a prompt of {} tokens with {} samples of up to {} tokens: found {} of {} blocks of the "
                        "key-value cache free, expected enough for all",
                        task->prompt(), task->waiting_forks.size() + 1, task->most_tokens, cache_->free_blocks(),
                        cache_->blocks()));
    return false;
  }

  at::Device device = model_.device();
  Step step;
  std::vector<int64_t> made;
  StepPositions positions;
  std::vector<at::Tensor> embeddings;
  auto embed_made = [&] {  // consecutive ones are looked up at once
    if (!made.empty()) embeddings.push_back(model_.embed_made(to_tensor(made, device)));
    made.clear();
  };
  for (auto& [task, begin, count, wanted] : batch.pieces) {
    if (!task->started) task->started = Clock::now();
    int64_t past = task->sequence->length();
    const Request& request = task->request;
    positions.add(request.input, past, count);
    if (task->decoding()) {
      made.push_back(task->generation.ids.back());
    } else {
      embed_made();
      embeddings.push_back(request.input.embeddings.narrow(0, past, count).to(device, model_.dtype()));
    }
    step.sequences.push_back({begin, count, &*task->sequence, task->decoding() ? 0 : task->prompt()});
    for (int64_t row = count - wanted; row < count; ++row) step.logit_rows.push_back(begin + row);
  }
  embed_made();
  step.embeddings = embeddings.size() == 1 ? embeddings[0] : at::cat(embeddings);
  step.positions = positions.tensor(device);
  at::Tensor logits = model_.step(step, *cache_).to(at::kCPU, at::kFloat).contiguous();

  int64_t row = 0, width = logits.size(-1);
  std::exception_ptr failure;
  auto next_scores = [&] {
    return std::span(logits.const_data_ptr<float>() + width * row++, static_cast<size_t>(width));
  };
  for (auto& [task, begin, count, wanted] : batch.pieces) {
    if (task->weighs())
      for (; wanted > 0; --wanted) weigh(*task, next_scores());
    if (wanted == 0) continue;
    std::span<const float> scores = next_scores();
    try {
      std::vector<Task*> samplers{task};
      for (Handle fork : std::exchange(task->waiting_forks, {})) {
        auto found = tasks_.find(fork);
        if (found == tasks_.end() || !found->second->running()) continue;
        Task& child = *found->second;
        child.waits_for_parent = false;
        child.started = task->started;
        child.sequence = task->sequence->fork();
        samplers.push_back(&child);
      }
      for (Task* sampler : samplers) accept(*sampler, scores);
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return true;
}

void Engine::accept(Task& task, std::span<const float> logits) {
  if (!task.running()) return;  // another sequence's callback cancelled it
  auto& ids = task.generation.ids;
  const Request& request = task.request;
  try {
    CounterRandom random(request.sampling.seed, request.stream, ids.size());
    int64_t id = sample(logits, task.history, request.sampling, random, request.eos);
    if (ids.empty()) {
      task.first_token = Clock::now();
      task.generation.prefill_s = seconds_since(*task.started);
    }
    ids.push_back(id);
    task.history.add(id);
    task.generation.decode_s = seconds_since(*task.first_token);
    bool closing = std::find(request.eos.begin(), request.eos.end(), id) != request.eos.end();
    bool wanted = closing || !request.on_token || request.on_token(id);
    if (closing) {
      end(task, FinishReason::stop);
    } else if (!wanted) {
      end(task, FinishReason::stop_string);
    } else if (static_cast<int64_t>(ids.size()) >= task.most_tokens) {
      end(task, FinishReason::length);
    }
  } catch (...) {
    end(task, FinishReason::interrupted);
    throw;
  }
}

void Engine::weigh(Task& task, std::span<const float> logits) {
  Generation& generation = task.generation;
  if (task.request.on_logits) task.request.on_logits(logits);
  generation.log_probability += log_share(logits, task.request.given[task.weighed++]);
  if (task.weighed < task.request.given.size()) return;
  generation.prefill_s = seconds_since(*task.started);
  end(task, FinishReason::stop);
}

void Engine::end(Task& task, FinishReason reason) {
  if (!task.running()) return;
  task.generation.finish = reason;
  if (task.request.keep_cached && task.sequence) task.generation.cached = std::move(task.sequence);
  task.sequence.reset();
  task.request.input = {};
  task.request.prefix.reset();
  // Forks that still wait for the prompt begin it themselves.
  for (Handle fork : std::exchange(task.waiting_forks, {}))
    if (auto found = tasks_.find(fork); found != tasks_.end()) found->second->waits_for_parent = false;
}

void Engine::run_until_done() {
  while (run_step()) {
  }
}

void Engine::cancel(Handle handle) { end(task(handle), FinishReason::interrupted); }

const Generation& Engine::generation(Handle handle) const { return task(handle).generation; }

Generation Engine::forget(Handle handle) {
  cancel(handle);
  Generation generation = std::move(task(handle).generation);
  tasks_.erase(handle);
  return generation;
}

}  // namespace nuri
