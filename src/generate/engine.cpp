#include "generate/engine.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>

#include "base/error.h"
#include "base/report.h"
#include "generate/cache_plan.h"
#include "generate/engine_batch.h"
#include "generate/prefix_cache.h"
#include "generate/recorded_decode.h"
#include "generate/speculation.h"
#include "generate/step_rows.h"

namespace nuri {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The natural logarithm of the softmax of one of them.
double log_share(std::span<const float> logits, int64_t id) {
  double largest = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float logit : logits) sum += std::exp(logit - largest);
  return logits[static_cast<size_t>(id)] - largest - std::log(sum);
}

std::span<const float> scores_of(const at::Tensor& logits, int64_t row) {
  int64_t width = logits.size(-1);
  return {logits.const_data_ptr<float>() + width * row, static_cast<size_t>(width)};
}

}  // namespace

Engine::Engine(CausalLM& model, const EngineOptions& options) : model_(model), step_rows_(options.step_rows) {
  if (options.step_rows < 1)
    throw Error(ErrorKind::usage, fmt::format("step_rows: found {}, expected at least 1", options.step_rows));
  if (options.context < 0)
    throw Error(ErrorKind::usage, fmt::format("context: found {}, expected at least 0", options.context));
  context_ = options.context > 0 ? options.context : model.limits().context;
  cache_ = make_cache(model, context_, options.cache_positions, options.cache);
  int64_t a_block = nn::KvCache::bytes(model.cache_shape(), 1, model.dtype(), options.cache);
  if (options.record_steps || model.device().is_cuda()) recorded_ = std::make_unique<RecordedDecode>(model, *cache_);
  if (options.known_bytes > 0) prefixes_ = std::make_unique<PrefixCache>(*cache_, options.known_bytes / a_block);
}

Engine::~Engine() = default;

int64_t Engine::recorded_steps() const { return recorded_ ? recorded_->steps() : 0; }

void Engine::speculate(std::unique_ptr<Proposer> proposer) {
  speculator_ = proposer ? std::make_unique<Speculator>(std::move(proposer)) : nullptr;
}

Engine::Task& Engine::task(Handle handle) const {
  auto found = tasks_.find(handle);
  if (found == tasks_.end()) throw Error(ErrorKind::internal, fmt::format("the engine knows no sequence {}", handle));
  return *found->second;
}

Engine::Handle Engine::add(std::unique_ptr<Task> task) {
  task->handle = next_handle_;
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
  at::NoGradGuard no_gradients;
  if (!made) {
    at::Tensor ids = to_tensor(request.ids, model_.device());
    request.input = std::move(model_.embed({{"input_ids", ids.unsqueeze(0)}}).front());
  }
  check_input(request.input, model_.limits().width);
  std::vector<int64_t> told;
  if (speculator_ && given == 0) told = tokens_read(model_, request.ids, request.input);
  if (read > prompt) {
    append_rows(request.input,
                model_.embed_made(to_tensor({request.given.begin(), request.given.end() - 1}, model_.device())));
  }
  if (request.prefix) request.prefix->truncate(prompt - 1);
  auto task = std::make_unique<Task>(std::move(request));
  task->told = std::move(told);
  if (shares(*task)) extend_keys(task->keys, task->request.input, model_.activation_type());
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
  child->told = parent.told;
  child->generation = parent.generation;
  child->keys = parent.keys;
  child->most_tokens = parent.most_tokens;
  child->started = parent.started;
  child->first_token = parent.first_token;
  bool waits = child->waits_for_parent = !parent.decoding();
  if (waits) {
    parent.waiting_forks.push_back(next_handle_);
  } else {
    child->sequence = parent.sequence->fork();
    child->sequence->truncate(child->read());  // in a callback, the parent's may hold what is not yet accepted
    if (speculator_ && !parent.told.empty()) speculator_->fork(parent_handle, next_handle_);
  }
  Handle handle = add(std::move(child));
  if (!parent.sequence || promised_blocks() <= cache_->free_blocks()) return handle;
  if (speculator_) speculator_->forget(handle);
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
    auto shared =
        std::min(task->keys.size(), static_cast<size_t>((task->prompt() - task->wanted_rows()) / nn::KvCache::kBlock));
    task->sequence = prefixed     ? std::exchange(task->request.prefix, {})
                     : shared > 0 ? prefixes_->longest(std::span(task->keys).first(shared))
                                  : nn::CachedSequence(*cache_);
    task->generation.reused_tokens = task->sequence->length();
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
  std::vector<Task*> decoding, reading;
  for (auto& [handle, task] : tasks_)
    if (task->sequence && task->running()) (task->decoding() ? decoding : reading).push_back(task.get());
  batch.reads_prompts = !reading.empty();
  auto paths = propose(batch.reads_prompts ? std::vector<Task*>() : decoding);
  paths.resize(decoding.size());
  for (size_t i = 0; i < decoding.size(); ++i) go_on(batch, *decoding[i], std::move(paths[i]));
  for (Task* task : reading) {
    if (batch.rows >= step_rows_) break;
    int64_t left = task->prompt() - task->sequence->length();
    int64_t count = std::min(left, step_rows_ - batch.rows);
    batch.add(*task, *task->sequence, count, std::clamp<int64_t>(count - (left - task->wanted_rows()), 0, count));
  }
  return batch;
}

std::vector<std::vector<Path>> Engine::propose(const std::vector<Task*>& tasks) {
  if (!speculator_) return {};
  std::vector<Unfinished> sequences;
  for (Task* task : tasks) {
    const Request& request = task->request;
    int64_t most = task->told.empty() ? 0 : task->final_length() - task->read() - 1;
    sequences.push_back({task->handle, task->told, task->told.size() - task->generation.ids.size(), request.draft.get(),
                         task->history, request.sampling, request.stream, request.eos,
                         std::min(most, Pace::kMostRows - 1)});
  }
  return speculator_->propose(std::move(sequences));
}

// The first path goes on in the task's own sequence, for whose rows there is always room; a second one in a fork, where
// the cache has blocks that nobody is promised.
void Engine::go_on(Batch& batch, Task& task, std::vector<Path> paths) {
  for (const Path& path : paths) task.generation.proposed += std::ssize(path);
  if (paths.empty()) return batch.go_on(task, *task.sequence, {}, true);
  task.sequence->reserve(static_cast<int64_t>(paths[0].size()) + 1);
  batch.go_on(task, *task.sequence, std::move(paths[0]), true);
  for (size_t i = 1; i < paths.size(); ++i) {
    int64_t rows = static_cast<int64_t>(paths[i].size()) + 1, spare = cache_->free_blocks() - promised_blocks();
    nn::CachedSequence branch = task.sequence->fork();
    if (branch.blocks_to_reserve(rows) > spare) continue;
    branch.reserve(rows);
    batch.go_on(task, batch.branches.emplace_back(std::move(branch)), std::move(paths[i]), false);
  }
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

  auto started = Clock::now();
  at::Tensor logits = run(batch);
  if (!batch.reads_prompts) tending_.behind_step(model_, seconds_since(started));
  std::exception_ptr failure;
  for (size_t i = 0; i < batch.pieces.size(); ++i) {
    try {
      if (batch.pieces[i].first_of_task) settle(batch, i, logits);
    } catch (...) {
      failure = std::current_exception();
    }
  }
  for (size_t i = 0; i < batch.pieces.size(); ++i) {
    const auto& piece = batch.pieces[i];
    Task& task = *piece.task;
    if (!task.running()) continue;  // another sequence's callback cancelled it
    try {
      if (task.weighs()) {
        for (int64_t row = 0; row < piece.wanted; ++row) weigh(task, scores_of(logits, piece.first_scores + row));
      } else if (piece.decodes && piece.first_of_task) {
        verify(piece, logits);
      } else if (!piece.decodes && piece.wanted > 0) {
        begin_answer(task, scores_of(logits, piece.first_scores));
      }
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return true;
}

// -> logits [rows that give a token, V] in float32 on the CPU
at::Tensor Engine::run(Batch& batch) {
  auto begin = Clock::now();
  at::Device device = model_.device();
  Step step;
  std::vector<int64_t> made;
  StepPositions positions;
  std::vector<at::Tensor> embeddings;
  auto embed_made = [&] {  // consecutive ones are looked up at once
    if (!made.empty()) embeddings.push_back(model_.embed_made(to_tensor(made, device)));
    made.clear();
  };
  for (const auto& piece : batch.pieces) {
    Task& task = *piece.task;
    if (!task.started) task.started = begin;
    int64_t past = piece.sequence->length();
    positions.add(task.request.input, past, piece.count);
    if (piece.decodes) {
      made.push_back(task.generation.ids.back());
      made.insert(made.end(), piece.proposed.begin(), piece.proposed.end());
    } else {
      embed_made();
      embeddings.push_back(
          task.request.input.embeddings.narrow(0, past, piece.count).to(device, model_.activation_type()));
    }
    step.sequences.push_back({piece.begin, piece.count, piece.sequence, /*extent=*/piece.decodes ? -1 : task.prompt()});
    for (int64_t row = piece.count - piece.wanted; row < piece.count; ++row)
      step.logit_rows.push_back(piece.begin + row);
  }
  embed_made();
  step.embeddings = embeddings.size() == 1 ? embeddings[0] : at::cat(embeddings);
  step.positions = positions.tensor(device);
  bool recorded = recorded_ && recorded_->takes(step);
  at::Tensor logits = recorded ? recorded_->step(step) : model_.step(step, *cache_);
  logits = logits.to(at::kCPU, at::kFloat).contiguous();
  if (speculator_ && !batch.reads_prompts) speculator_->stepped(batch.rows, seconds_since(begin));
  return logits;
}

// The prompt is read: the first token, also of the forks that waited for it.
void Engine::begin_answer(Task& task, std::span<const float> logits) {
  if (shares(task)) prefixes_->learn(task.keys, *task.sequence);
  std::vector<Task*> samplers{&task};
  for (Handle fork : std::exchange(task.waiting_forks, {})) {
    auto found = tasks_.find(fork);
    if (found == tasks_.end() || !found->second->running()) continue;
    Task& child = *found->second;
    child.waits_for_parent = false;
    child.started = task.started;
    child.sequence = task.sequence->fork();
    samplers.push_back(&child);
  }
  std::exception_ptr failure;
  for (Task* sampler : samplers) {
    try {
      if (sampler->running()) accept(*sampler, next_token(*sampler, logits));
    } catch (...) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

// Of a task's several paths, which begin differently, keeps the one that begins with the sample, else the first, and
// gives back what the others hold: before any callback, so that one that forks finds the blocks it would find without.
void Engine::settle(Batch& batch, size_t first, const at::Tensor& logits) {
  Piece& piece = batch.pieces[first];
  Task& task = *piece.task;
  size_t end = first + 1, chosen = first;
  while (end < batch.pieces.size() && batch.pieces[end].task == &task) ++end;
  if (end == first + 1) return;
  int64_t id = next_token(task, scores_of(logits, piece.first_scores));
  for (size_t i = first; i < end; ++i)
    if (batch.pieces[i].proposed.front() == id) chosen = i;
  if (chosen > first) {
    task.sequence = std::move(*batch.pieces[chosen].sequence);
    piece.proposed = batch.pieces[chosen].proposed, piece.first_scores = batch.pieces[chosen].first_scores;
    piece.branched = 1;
  } else if (piece.proposed.front() != id) {
    piece.branched = 0;
  }
  for (size_t i = first + 1; i < end; ++i) *batch.pieces[i].sequence = nn::CachedSequence(*cache_);
}

// Takes the rows' samples one after the other, as long as the row behind was computed from the very token.
void Engine::verify(const Piece& piece, const at::Tensor& logits) {
  Task& task = *piece.task;
  int64_t right = 0, proposed = std::ssize(piece.proposed);
  task.generation.steps += 1;
  for (bool foretold = true; foretold && task.running(); right += foretold) {
    int64_t id = next_token(task, scores_of(logits, piece.first_scores + right));
    foretold = right < proposed && piece.proposed[static_cast<size_t>(right)] == id;
    task.generation.accepted += right > 0;
    accept(task, id);
  }
  if (!task.running()) return;
  task.sequence->truncate(task.read());
  if (speculator_) speculator_->tell(task.handle, piece.on_first, piece.branched == 1 ? 0 : right, piece.branched);
}

int64_t Engine::next_token(Task& task, std::span<const float> logits) {
  const Request& request = task.request;
  CounterRandom random(request.sampling.seed, request.stream, task.generation.ids.size());
  try {
    return sample(logits, task.history, request.sampling, random, request.eos);
  } catch (...) {
    end(task, FinishReason::interrupted);
    throw;
  }
}

void Engine::accept(Task& task, int64_t id) {
  auto& ids = task.generation.ids;
  const Request& request = task.request;
  try {
    if (ids.empty()) {
      task.first_token = Clock::now();
      task.generation.prefill_s = seconds_since(*task.started);
    }
    ids.push_back(id);
    task.history.add(id);
    if (!task.told.empty()) task.told.push_back(id);
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

// Not where positions may depend on the length of the whole prompt.
bool Engine::shares(const Task& task) const {
  return prefixes_ && task.request.shares && task.prompt() <= model_.limits().context;
}

// What it holds serves other prompts: a conversation goes on behind the answer.
void Engine::remember(Task& task) {
  if (!task.sequence || !shares(task) || task.weighs()) return;
  const auto& ids = task.generation.ids;
  int64_t made = std::max<int64_t>(static_cast<int64_t>(ids.size()) - 1, 0);  // the last one was not read
  int64_t length = std::min(task.sequence->length(), task.prompt() + made);
  if (length > model_.limits().context) return;
  auto blocks = static_cast<size_t>(length / nn::KvCache::kBlock);
  if (blocks > task.keys.size()) {
    at::NoGradGuard no_gradients;  // as in submit: rows are of another type where gradients are on
    append_rows(task.request.input, model_.embed_made(to_tensor({ids.begin(), ids.begin() + made}, model_.device())));
    extend_keys(task.keys, task.request.input, model_.activation_type());
  }
  prefixes_->learn(std::span(task.keys).first(std::min(blocks, task.keys.size())), *task.sequence);
}

void Engine::end(Task& task, FinishReason reason) {
  if (!task.running()) return;
  remember(task);
  task.generation.finish = reason;
  if (speculator_) speculator_->forget(task.handle);
  if (task.sequence) task.sequence->truncate(task.read());
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
