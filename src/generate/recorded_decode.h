#pragma once

#include <map>
#include <memory>
#include <utility>

#include "models/parts/interface.h"
#include "ops/recorded_step.h"

namespace nuri {

// Steps in which each sequence goes on by one row, recorded and replayed: on a GPU its kernels are then started at
// once. There is a recording for each power of two of rows, and of blocks of the longest sequence; a step uses the
// smallest that holds it, with its first row again in the place of rows that it does not have.
class RecordedDecode {
 public:
  // Both must outlive it.
  RecordedDecode(CausalLM& model, nn::KvCache& cache) : model_(model), cache_(cache) {}

  // Whether the step is such a one, and the model's steps can be recorded.
  bool takes(const Step& step) const;
  // As CausalLM::step; the logits are those of this step until the next one runs.
  at::Tensor step(const Step& step);
  // How many it ran.
  int64_t steps() const { return steps_; }

 private:
  struct Recording {
    at::Tensor embeddings;  // [R, D]
    at::Tensor rows;        // [2 + B, R] int64: position, index, blocks
    std::unique_ptr<ops::RecordedStep> step;
  };
  Recording& recording(int64_t rows, int64_t blocks, const at::Tensor& like);
  void begin(Recording& recording) const;

  CausalLM& model_;
  nn::KvCache& cache_;
  std::map<std::pair<int64_t, int64_t>, Recording> recordings_;  // by R and B
  int64_t steps_ = 0;
};

}  // namespace nuri
