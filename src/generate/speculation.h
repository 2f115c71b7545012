#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "generate/pace.h"
#include "generate/proposer.h"

namespace nuri {

// Lets a proposer propose, as much as pays, and learns from what becomes of it.
class Speculator {
 public:
  explicit Speculator(std::unique_ptr<Proposer> proposer) : proposer_(std::move(proposer)) {}

  // The paths for each of the sequences that go on in a step.
  std::vector<std::vector<Path>> propose(std::vector<Unfinished> sequences);
  // What became of them: see Pace::tell.
  void tell(int64_t handle, int64_t proposed, int64_t accepted, int branched);
  // A step of so many rows, each a token to go on from or a proposed one.
  void stepped(int64_t rows, double seconds) { pace_.stepped(rows, seconds); }
  void fork(int64_t parent, int64_t child);
  void forget(int64_t handle);

 private:
  std::unique_ptr<Proposer> proposer_;
  Pace pace_;
  std::map<int64_t, size_t> kinds_;  // of the last proposals
};

// The ids of a prompt, kNoToken where what the decoder reads is not the embedding of the id.
std::vector<int64_t> tokens_read(CausalLM& model, const std::vector<int64_t>& ids, const DecoderInput& input);

}  // namespace nuri
