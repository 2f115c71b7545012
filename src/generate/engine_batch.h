#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "generate/engine.h"
#include "generate/prefix_cache.h"
#include "generate/speculation.h"

// What an Engine keeps of each sequence, and what a step takes of them.
namespace nuri {

struct Engine::Task {
  explicit Task(Request asked) : request(std::move(asked)), history(request.ids) {
    generation.prompt_tokens = request.input.embeddings.size(0);
  }

  bool running() const { return generation.finish == FinishReason::running; }
  bool decoding() const { return running() && !generation.ids.empty(); }
  bool weighs() const { return !request.given.empty(); }
  int64_t prompt() const { return generation.prompt_tokens; }  // with the given tokens that are read behind it
  // Positions in the cache when all but the last token, which is to be read next, have been read.
  int64_t read() const { return prompt() + std::max<int64_t>(static_cast<int64_t>(generation.ids.size()) - 1, 0); }
  // Rows at its end whose logits are wanted: the last one, or those that tell of the given tokens.
  int64_t wanted_rows() const { return std::max<int64_t>(1, static_cast<int64_t>(request.given.size())); }
  // Positions in the cache at the very end: the last token is never read again.
  int64_t final_length() const { return prompt() + most_tokens - 1; }

  // Blocks that it and the forks waiting for its prompt may still take.
  int64_t promised_blocks() const {
    int64_t a_fork = nn::KvCache::blocks_for(final_length()) - prompt() / nn::KvCache::kBlock;
    return sequence->blocks_to_reserve(final_length() - sequence->length()) +
           static_cast<int64_t>(waiting_forks.size()) * a_fork;
  }

  Request request;
  Handle handle = 0;
  TokenHistory history;
  std::vector<int64_t> told;  // prompt and answer as a Proposer reads them; empty: nothing is proposed
  Generation generation;
  int64_t most_tokens = 0;
  size_t weighed = 0;                          // of the given tokens
  BlockKeys keys;                              // of what is read, where it shares blocks
  std::optional<nn::CachedSequence> sequence;  // absent: not yet let in, or ended
  std::vector<Handle> waiting_forks;           // they begin when the prompt is done
  bool waits_for_parent = false;
  std::optional<std::chrono::steady_clock::time_point> started, first_token;
};

// Rows of one task in a step.
struct Engine::Piece {
  Task* task;
  nn::CachedSequence* sequence;
  int64_t begin, count;
  int64_t wanted;             // so many last rows' logits give a token, or the weight of one
  int64_t first_scores;       // its first row of logits
  bool decodes = false;       // the last token of an answer and what is proposed behind it, not a prompt
  bool first_of_task = true;  // else that of another path
  Path proposed = {};
  int64_t on_first = 0;  // how many tokens were proposed on the first path
  int branched = -1;     // see Pace::tell
};

// What one step runs: rows of several tasks.
struct Engine::Batch {
  std::vector<Piece> pieces;  // those of a task's further paths stand behind its first
  std::list<nn::CachedSequence> branches;
  int64_t rows = 0, scores = 0;
  bool reads_prompts = false;

  Piece& add(Task& task, nn::CachedSequence& sequence, int64_t count, int64_t wanted) {
    pieces.push_back({&task, &sequence, rows, count, wanted, scores});
    rows += count;
    scores += wanted;
    return pieces.back();
  }
  // The task's last token, and what is proposed behind it.
  void go_on(Task& task, nn::CachedSequence& sequence, Path proposed, bool first) {
    auto count = static_cast<int64_t>(proposed.size()) + 1;
    Piece& piece = add(task, sequence, count, count);
    piece.decodes = true, piece.first_of_task = first;
    piece.proposed = std::move(proposed), piece.on_first = count - 1;
  }
};

}  // namespace nuri
