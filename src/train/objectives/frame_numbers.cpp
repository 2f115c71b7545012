#include "train/objectives/frame_numbers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "train/objectives/cosine.h"

namespace nuri {
namespace {

// Which picture of its row each picture token belongs to, from 0, [B, T]: the runs of them that have begun, less one.
at::Tensor pictures_of(const at::Tensor& is_picture) {
  at::Tensor before = at::zeros_like(is_picture);
  int64_t rest = is_picture.size(1) - 1;
  before.narrow(1, 1, rest).copy_(is_picture.narrow(1, 0, rest));
  return (is_picture & before.logical_not()).cumsum(1) - 1;
}

}  // namespace

FrameNumbers::FrameNumbers(CausalLM& model, int64_t picture_token, int64_t layer, std::vector<int64_t> numbers)
    : model_(model), picture_token_(picture_token), layer_(layer), numbers_(at::tensor(numbers, at::kLong)) {}

Objective::Loss FrameNumbers::loss(const at::Tensor& states, const at::Tensor& ids) const {
  at::Tensor is_picture = ids == picture_token_;
  at::Tensor rows = is_picture.reshape({-1}).nonzero().squeeze(1);
  at::Tensor wanted = pictures_of(is_picture).reshape({-1}).index_select(0, rows);
  check_ids(wanted, numbers_.size(0), "pictures of a row");
  at::Tensor directions = unit_rows(model_.embed_made(numbers_).detach().to(at::kFloat));
  at::Tensor scores = cosine_scores(states.index_select(0, rows).to(at::kFloat), directions);
  double right = (scores.argmax(1) == wanted).to(at::kFloat).mean().item<double>();
  return {at::cross_entropy_loss(scores, wanted), {{"numbered", right}}};
}

std::vector<int64_t> number_tokens(const Tokenizer& tokenizer, int64_t most) {
  std::vector<int64_t> numbers;
  for (int64_t number = 1; number <= most; ++number) {
    std::vector<int32_t> tokens = tokenizer.encode(std::to_string(number), false);
    if (tokens.size() != 1)
      throw Error(ErrorKind::usage,
                  fmt::format("tokenizer: found {} tokens for the number {}, expected one", tokens.size(), number));
    numbers.push_back(tokens.front());
  }
  return numbers;
}

}  // namespace nuri
