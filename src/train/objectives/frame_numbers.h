#pragma once

#include "text/tokenizer.h"
#include "train/objective.h"

namespace nuri {

// Teaches a decoder to know early which picture each of its picture tokens belongs to: behind one of its first layers
// the token leans toward the embedding of its picture's number, as `alignment` leans it toward its name. "The dog in
// frame 3" is then looked up as "the dog" is; without it the decoder finds the dog of all frames at once, and answers
// with the mean of their boxes.
class FrameNumbers {
 public:
  // Behind the decoder's layer `layer`, from 0; `numbers`: the tokens of "1", "2", ... Keeps a reference to the model.
  FrameNumbers(CausalLM& model, int64_t picture_token, int64_t layer, std::vector<int64_t> numbers);

  int64_t layer() const { return layer_; }
  // states [B * T, D] that the layer gave for input_ids [B, T], where each picture is one run of picture tokens. Parts:
  // "numbered", the share of picture tokens that are right. Throws Error(usage) for more pictures than numbers.
  Objective::Loss loss(const at::Tensor& states, const at::Tensor& ids) const;

 private:
  CausalLM& model_;
  int64_t picture_token_, layer_;
  at::Tensor numbers_;
};

// The token of each number from 1 to `most`. Throws Error(usage) where one is written in several.
std::vector<int64_t> number_tokens(const Tokenizer& tokenizer, int64_t most);

}  // namespace nuri
