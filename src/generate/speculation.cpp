#include "generate/speculation.h"

#include <ATen/ATen.h>

namespace nuri {

std::vector<std::vector<Path>> Speculator::propose(std::vector<Unfinished> sequences) {
  std::vector<Prospect> prospects;
  for (const Unfinished& sequence : sequences) {
    prospects.push_back(sequence.most > 0 ? proposer_->look(sequence) : Prospect());
    kinds_[sequence.handle] = prospects.back().kind;
  }
  pace_.plan(sequences, prospects, proposer_->seconds_a_token());
  auto proposed = proposer_->propose(sequences);
  for (auto& paths : proposed) std::erase_if(paths, [](const Path& path) { return path.empty(); });
  return proposed;
}

void Speculator::tell(int64_t handle, int64_t proposed, int64_t accepted, int branched) {
  if (auto kind = kinds_.find(handle); kind != kinds_.end())
    pace_.tell(handle, kind->second, proposed, accepted, branched);
}

void Speculator::fork(int64_t parent, int64_t child) {
  pace_.fork(parent, child);
  proposer_->fork(parent, child);
}

void Speculator::forget(int64_t handle) {
  pace_.forget(handle);
  proposer_->forget(handle);
  kinds_.erase(handle);
}

std::vector<int64_t> tokens_read(CausalLM& model, const std::vector<int64_t>& ids, const DecoderInput& input) {
  if (!input.embeddings.defined() || input.embeddings.size(0) != static_cast<int64_t>(ids.size())) return ids;
  at::NoGradGuard no_gradients;
  int64_t vocabulary = model.limits().vocabulary;
  at::Tensor all = at::tensor(ids, at::kLong), inside = (all >= 0) & (all < vocabulary);
  at::Tensor plain = model.embed_made(at::where(inside, all, 0).to(model.device())).to(input.embeddings.options());
  at::Tensor same = (plain == input.embeddings).all(-1).cpu() & inside;
  at::Tensor read = at::where(same, all, kNoToken).contiguous();
  return {read.const_data_ptr<int64_t>(), read.const_data_ptr<int64_t>() + read.numel()};
}

}  // namespace nuri
