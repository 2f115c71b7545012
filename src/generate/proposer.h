#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/sampler.h"
#include "models/parts/interface.h"

namespace nuri {

// What a draft model reads in place of a prompt, where it has a way of its own to read pictures.
struct DraftPrompt {
  std::vector<int64_t> ids;
  DecoderInput input;  // without embeddings: made from the ids
};

// In place of the id of a row that no token stands for, as those of pictures.
inline constexpr int64_t kNoToken = -1;

// A sequence whose next tokens are to be guessed.
struct Unfinished {
  int64_t handle;                // the same in all its steps
  std::span<const int64_t> ids;  // prompt and answer, which is not empty; kNoToken where a row stands for no token
  size_t prompt;                 // how many of them are the prompt
  const DraftPrompt* draft;      // null: the ids
  const TokenHistory& history;   // of prompt and answer
  const SamplingOptions& sampling;
  uint64_t stream;
  std::span<const int64_t> closing;
  int64_t most;        // tokens that can be verified in this step, at most
  int64_t length = 0;  // tokens wanted on the first path, at most
  int64_t branch = 0;  // tokens wanted on the second, at most
};

// Tokens that may come next, one after the other. The paths of one sequence begin with different tokens.
using Path = std::vector<int64_t>;

// What a proposer could tell of a sequence. How often it is right is counted for each kind apart.
struct Prospect {
  size_t kind = 0;
  int64_t length = 0;  // of the first path, at most; 0: nothing to propose
  int64_t branch = 0;  // of the second
};

// Guesses the next tokens of sequences. Whatever it says, the samples are the target's own: see Engine::speculate.
class Proposer {
 public:
  static constexpr size_t kKinds = 4;
  virtual ~Proposer() = default;
  virtual Prospect look(const Unfinished& sequence) = 0;
  // Up to two paths for each sequence, as long as it wants at most; none for one that wants none.
  virtual std::vector<std::vector<Path>> propose(std::span<const Unfinished> sequences) = 0;
  // Seconds that each token of the longest path takes; 0: nothing worth counting.
  virtual double seconds_a_token() const { return 0; }
  // The child has the tokens of its parent so far, and goes its own way.
  virtual void fork(int64_t /*parent*/, int64_t /*child*/) {}
  virtual void forget(int64_t /*handle*/) {}
};

}  // namespace nuri
