#include "generate/draft_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "generate/cache_plan.h"
#include "generate/pace.h"
#include "generate/step_rows.h"

namespace nuri {
namespace {

constexpr int64_t kStepRows = 512;  // of a prompt at a time

// The length of what two begin with alike.
size_t common(std::span<const int64_t> a, std::span<const int64_t> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

std::vector<int64_t> without_pictures(std::span<const int64_t> ids) {
  std::vector<int64_t> tokens;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(tokens), [](int64_t id) { return id != kNoToken; });
  return tokens;
}

}  // namespace

// What the cache holds of a sequence: `read` behind the prompt's rows.
struct DraftModel::Draft {
  nn::CachedSequence sequence;
  DecoderInput input;
  std::vector<int64_t> prompt;  // its tokens; empty where more than tokens was read
  std::vector<int64_t> read = {};

  int64_t prompt_rows() const { return input.embeddings.size(0); }
};

// A path that is being made: `pending` tokens are read next, then one more is proposed.
struct DraftModel::Chain {
  const Unfinished* wanted;
  Path* path;
  Path* second;  // to be begun beside the first token; null: none
  int64_t length;
  Draft* draft;
  nn::CachedSequence* sequence;
  std::vector<int64_t> pending;
  TokenHistory history;

  void take(int64_t id, int64_t vocabulary) {
    pending.clear();
    if (id >= vocabulary) return;
    path->push_back(id);
    history.add(id);
    const auto& closing = wanted->closing;
    if (std::find(closing.begin(), closing.end(), id) == closing.end()) pending = {id};
  }
};

DraftModel::DraftModel(CausalLM& model, int64_t vocabulary, int64_t context, int64_t cache_positions)
    : model_(model), vocabulary_(vocabulary), context_(context > 0 ? context : model.limits().context) {
  cache_ = make_cache(model, context_, cache_positions);
}

DraftModel::~DraftModel() = default;

Prospect DraftModel::look(const Unfinished& sequence) {
  auto answer = sequence.ids.subspan(sequence.prompt);
  int64_t vocabulary = model_.limits().vocabulary;
  bool known = std::all_of(answer.begin(), answer.end(), [&](int64_t id) { return id >= 0 && id < vocabulary; });
  auto prompt = static_cast<int64_t>(sequence.prompt);
  if (auto found = drafts_.find(sequence.handle); found != drafts_.end()) {
    if (!found->second) return {};  // nothing that it could read
    prompt = found->second->prompt_rows();
  } else if (sequence.draft != nullptr) {
    const at::Tensor& rows = sequence.draft->input.embeddings;
    prompt = rows.defined() ? rows.size(0) : std::ssize(sequence.draft->ids);
  }
  int64_t most = known ? std::min(sequence.most, context_ - prompt - std::ssize(answer) + 1) : 0;
  return {0, std::max<int64_t>(most, 0), std::max<int64_t>(most, 0)};
}

// Goes on from the latest draft where that is how the prompt begins.
std::unique_ptr<DraftModel::Draft> DraftModel::begin(const Unfinished& sequence) {
  DraftPrompt prompt;
  if (sequence.draft != nullptr) {
    prompt = *sequence.draft;
  } else {
    prompt.ids = without_pictures(sequence.ids.first(sequence.prompt));
  }
  bool made = prompt.input.embeddings.defined();
  if (!made) {
    if (prompt.ids.empty()) return nullptr;
    at::Tensor ids = to_tensor(prompt.ids, model_.device());
    prompt.input = std::move(model_.embed({{"input_ids", ids.unsqueeze(0)}}).front());
  }
  auto draft = std::make_unique<Draft>(nn::CachedSequence(*cache_), std::move(prompt.input));
  draft->sequence.keep(draft->input.slots);
  bool plain = !made && !draft->input.slots && draft->prompt_rows() == std::ssize(prompt.ids);
  if (plain) draft->prompt = std::move(prompt.ids);
  if (plain && last_ && !last_->prompt.empty()) {
    std::vector<int64_t> known = last_->prompt;
    known.insert(known.end(), last_->read.begin(), last_->read.end());
    auto same = static_cast<int64_t>(common(draft->prompt, known));
    draft->sequence = std::move(last_->sequence);
    draft->sequence.truncate(same);
  }
  last_.reset();
  return draft;
}

// Reads the prompt, and all but the last tokens of a long answer; false: the cache has no room.
bool DraftModel::catch_up(Draft& draft, std::span<const int64_t> answer) {
  size_t same = std::min(common(draft.read, answer), answer.size() - 1);
  draft.read.resize(same);
  draft.sequence.truncate(draft.prompt_rows() + static_cast<int64_t>(same));
  auto read = [&](const at::Tensor& rows, int64_t left) {
    int64_t past = draft.sequence.length(), count = rows.size(0);
    if (draft.sequence.blocks_to_reserve(count) > cache_->free_blocks()) last_.reset();
    if (draft.sequence.blocks_to_reserve(count) > cache_->free_blocks()) return false;
    StepPositions positions;
    positions.add(draft.input, past, count);
    Step step{rows.to(model_.device(), model_.activation_type()),
              positions.tensor(model_.device()),
              {{0, count, &draft.sequence, past + count + left}},
              {count - 1}};
    model_.step(step, *cache_);
    return true;
  };
  while (draft.sequence.length() < draft.prompt_rows()) {
    int64_t past = draft.sequence.length(), count = std::min(kStepRows, draft.prompt_rows() - past);
    if (!read(draft.input.embeddings.narrow(0, past, count), draft.prompt_rows() - past - count)) return false;
  }
  while (std::ssize(answer) - std::ssize(draft.read) > Pace::kMostRows) {
    size_t count = std::min<size_t>(kStepRows, answer.size() - draft.read.size() - 1);
    auto ids = answer.subspan(draft.read.size(), count);
    if (!read(model_.embed_made(to_tensor({ids.begin(), ids.end()}, model_.device())), 0)) return false;
    draft.read.insert(draft.read.end(), ids.begin(), ids.end());
  }
  return true;
}

// Reads what is pending of each chain -> the logits behind it, a row a chain.
at::Tensor DraftModel::run(const std::vector<Chain*>& chains) {
  Step step;
  StepPositions positions;
  std::vector<int64_t> ids;
  for (Chain* chain : chains) {
    auto begin = std::ssize(ids), count = std::ssize(chain->pending);
    positions.add(chain->draft->input, chain->sequence->length(), count);
    step.sequences.push_back({begin, count, chain->sequence, /*extent=*/-1});
    ids.insert(ids.end(), chain->pending.begin(), chain->pending.end());
    step.logit_rows.push_back(std::ssize(ids) - 1);
  }
  step.embeddings = model_.embed_made(to_tensor(ids, model_.device()));
  step.positions = positions.tensor(model_.device());
  return model_.step(step, *cache_).to(at::kCPU, at::kFloat).contiguous();
}

namespace {

std::vector<int64_t> draw(const Unfinished& wanted, const TokenHistory& history, size_t made, const at::Tensor& logits,
                          int64_t row, size_t count) {
  int64_t width = logits.size(-1);
  std::span scores(logits.const_data_ptr<float>() + row * width, static_cast<size_t>(width));
  CounterRandom random(wanted.sampling.seed, wanted.stream, wanted.ids.size() - wanted.prompt + made);
  return first_samples(scores, history, wanted.sampling, random, count, wanted.closing);
}

}  // namespace

// One more token on each chain that is not as long as is wanted, has not ended the text and finds room; a second path
// begins beside the first token. False: there was none.
bool DraftModel::lengthen(std::list<Chain>& chains) {
  std::vector<Chain*> unfinished;
  int64_t free = cache_->free_blocks();
  for (Chain& chain : chains) {
    if (std::ssize(*chain.path) >= chain.length || chain.pending.empty()) continue;
    free -= chain.sequence->blocks_to_reserve(std::ssize(chain.pending));
    if (free >= 0) unfinished.push_back(&chain);
  }
  if (unfinished.empty()) return false;
  at::Tensor logits = run(unfinished);
  for (size_t i = 0; i < unfinished.size(); ++i) {
    Chain& chain = *unfinished[i];
    bool branches = chain.second != nullptr && chain.path->empty();
    auto ids =
        draw(*chain.wanted, chain.history, chain.path->size(), logits, static_cast<int64_t>(i), branches ? 2 : 1);
    if (ids.size() > 1) {
      Chain& branch = chains.emplace_back(chain);
      branch.path = std::exchange(branch.second, nullptr), branch.length = chain.wanted->branch;
      branch.sequence = &branches_.emplace_back(chain.sequence->fork());
      branch.take(ids[1], vocabulary_);
    }
    chain.take(ids[0], vocabulary_);
  }
  return true;
}

std::vector<std::vector<Path>> DraftModel::propose(std::span<const Unfinished> sequences) {
  using Clock = std::chrono::steady_clock;
  at::NoGradGuard no_gradients;
  std::vector<std::vector<Path>> paths(sequences.size(), std::vector<Path>(2));
  std::list<Chain> chains;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const Unfinished& wanted = sequences[i];
    if (wanted.length < 1) continue;
    auto& draft = drafts_[wanted.handle];
    if (!draft) draft = begin(wanted);
    auto answer = wanted.ids.subspan(wanted.prompt);
    if (!draft || !catch_up(*draft, answer)) continue;
    auto unread = answer.subspan(draft->read.size());
    chains.push_back({&wanted,
                      &paths[i][0],
                      wanted.branch > 0 ? &paths[i][1] : nullptr,
                      wanted.length,
                      draft.get(),
                      &draft->sequence,
                      {unread.begin(), unread.end()},
                      wanted.history});
  }
  std::vector<Chain*> first;
  for (Chain& chain : chains) first.push_back(&chain);
  for (bool more = true; more;) {
    auto begin = Clock::now();
    if (!(more = lengthen(chains))) break;
    double took = std::chrono::duration<double>(Clock::now() - begin).count();
    seconds_ = seconds_ == 0 ? took : 0.9 * seconds_ + 0.1 * std::min(took, 4 * seconds_);
  }
  branches_.clear();
  for (Chain* chain : first) {
    Draft& draft = *chain->draft;
    auto answer = chain->wanted->ids.subspan(chain->wanted->prompt);
    draft.read = {answer.begin(), answer.end()};
    draft.read.insert(draft.read.end(), chain->path->begin(), chain->path->end());
    draft.read.resize(static_cast<size_t>(draft.sequence.length() - draft.prompt_rows()));
  }
  return paths;
}

void DraftModel::fork(int64_t parent, int64_t child) {
  auto found = drafts_.find(parent);
  if (found != drafts_.end() && found->second) drafts_[child] = std::make_unique<Draft>(*found->second);
}

void DraftModel::forget(int64_t handle) {
  auto found = drafts_.find(handle);
  if (found == drafts_.end()) return;
  if (found->second) last_ = std::move(found->second);
  drafts_.erase(found);
}

}  // namespace nuri
