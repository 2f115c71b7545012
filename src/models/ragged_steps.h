#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "models/parts/interface.h"

// What tests share.
namespace nuri {

// Prompts whose sequences share steps of a few rows each -> the logits of every row.
class Ragged {
 public:
  Ragged(CausalLM& model, std::vector<DecoderInput> prompts)
      : model_(model), prompts_(std::move(prompts)), cache_(model.cache_shape(), 64, at::kFloat) {
    for (const DecoderInput& prompt : prompts_) sequences_.emplace_back(cache_).keep(prompt.slots);
  }

  std::vector<at::Tensor> logits(int64_t rows_a_step) {
    std::vector<std::vector<at::Tensor>> found(prompts_.size());
    for (int64_t past = 0;; past += rows_a_step) {
      std::vector<at::Tensor> rows;
      std::vector<size_t> whose;
      for (size_t i = 0; i < prompts_.size(); ++i) {
        int64_t left = prompts_[i].embeddings.size(0) - past;
        if (left > 0) rows.push_back(prompts_[i].embeddings.narrow(0, past, std::min(left, rows_a_step)));
        if (left > 0) whose.push_back(i);
      }
      if (rows.empty()) break;
      std::vector<at::Tensor> made = step(rows, whose);
      for (size_t i = 0; i < whose.size(); ++i) found[whose[i]].push_back(made[i]);
    }
    std::vector<at::Tensor> joined;
    for (const auto& pieces : found) joined.push_back(at::cat(pieces));
    return joined;
  }

  // The same token behind a sequence and behind its fork.
  std::vector<at::Tensor> fork_and_continue(size_t sequence, int64_t id) {
    sequences_.push_back(sequences_[sequence].fork());
    at::Tensor row = model_.embed_made(at::tensor({id}, at::kLong));
    return step({row, row}, {sequence, sequences_.size() - 1});
  }

 private:
  std::vector<at::Tensor> step(const std::vector<at::Tensor>& rows, const std::vector<size_t>& whose) {
    Step step;
    std::vector<int64_t> positions, counts;
    for (size_t i = 0; i < rows.size(); ++i) {
      int64_t begin = static_cast<int64_t>(positions.size()), count = rows[i].size(0);
      nn::CachedSequence& sequence = sequences_[whose[i]];
      step.sequences.push_back({begin, count, &sequence});
      for (int64_t row = 0; row < count; ++row) {
        step.logit_rows.push_back(begin + row);
        positions.push_back(sequence.length() + row);
      }
      counts.push_back(count);
    }
    step.embeddings = at::cat(rows);
    step.positions = at::tensor(positions, at::kLong);
    return model_.step(step, cache_).split_with_sizes(counts);
  }

  CausalLM& model_;
  std::vector<DecoderInput> prompts_;
  nn::KvCache cache_;
  std::vector<nn::CachedSequence> sequences_;
};

}  // namespace nuri
