#pragma once

#include <list>
#include <map>
#include <memory>

#include "generate/proposer.h"

namespace nuri {

// A smaller model of the same tokens continues the sequences and proposes what it says (Leviathan et al. 2023): its
// samples by the very numbers that the target will draw by, since the same number mostly gives the same token where two
// distributions are alike (see sample). The second path begins with its next choice. It reads the same tokens, but for
// the rows of pictures, unless a request brings a DraftPrompt.
class DraftModel : public Proposer {
 public:
  // `vocabulary`: of the target, whose further ids are not proposed. `context`: positions of a sequence at most, 0: as
  // many as the model was made for; a sequence that is longer gets no proposals. `cache_positions`: of all sequences
  // together, 0: as Engine chooses them; a sequence that finds no room gets none either. Throws as Engine does.
  DraftModel(CausalLM& model, int64_t vocabulary, int64_t context = 0, int64_t cache_positions = 0);
  ~DraftModel() override;

  Prospect look(const Unfinished& sequence) override;
  // Throws what the model throws for a prompt that it does not read.
  std::vector<std::vector<Path>> propose(std::span<const Unfinished> sequences) override;
  double seconds_a_token() const override { return seconds_; }
  void fork(int64_t parent, int64_t child) override;
  void forget(int64_t handle) override;

  const nn::KvCache& cache() const { return *cache_; }

 private:
  struct Draft;
  struct Chain;

  std::unique_ptr<Draft> begin(const Unfinished& sequence);
  bool catch_up(Draft& draft, std::span<const int64_t> answer);
  bool lengthen(std::list<Chain>& chains);
  at::Tensor run(const std::vector<Chain*>& chains);

  CausalLM& model_;
  int64_t vocabulary_, context_;
  std::unique_ptr<nn::KvCache> cache_;  // before the drafts: outlives their sequences
  std::map<int64_t, std::unique_ptr<Draft>> drafts_;
  std::unique_ptr<Draft> last_;             // the latest that was forgotten, from which a conversation may go on
  std::list<nn::CachedSequence> branches_;  // of the proposals that are being made
  double seconds_ = 0;                      // that a step took of late
};

}  // namespace nuri
