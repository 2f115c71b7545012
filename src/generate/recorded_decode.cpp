#include "generate/recorded_decode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>

#include "nn/fixed_attention.h"

namespace nuri {
namespace {

int64_t power_of_two(int64_t count) { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count))); }

// Index and blocks of each row [1 + B, R] on the CPU, those of the first one behind the last.
at::Tensor told_rows(const Step& step, int64_t rows, int64_t blocks) {
  at::Tensor told = at::zeros({1 + blocks, rows}, at::kLong);
  auto to = told.accessor<int64_t, 2>();
  for (int64_t row = 0; row < rows; ++row) {
    const auto& piece = step.sequences[row < std::ssize(step.sequences) ? static_cast<size_t>(row) : 0];
    to[0][row] = piece.sequence->length();
    const auto& held = piece.sequence->blocks();
    for (int64_t i = 0; i < std::ssize(held); ++i) to[1 + i][row] = held[static_cast<size_t>(i)];
  }
  return told;
}

// The first rows of `to`, and the first of them again in the place of those that are more.
void put_rows(const at::Tensor& to, const at::Tensor& from) {
  const int64_t count = from.size(0), more = to.size(0) - count;
  to.narrow(0, 0, count).copy_(from);
  if (more > 0) to.narrow(0, count, more).copy_(from.narrow(0, 0, 1).expand_as(to.narrow(0, count, more)));
}

}  // namespace

bool RecordedDecode::takes(const Step& step) const {
  const auto count = std::ssize(step.sequences);
  if (step.positions.dim() != 1 || std::ssize(step.logit_rows) != count || !model_.can_record_steps()) return false;
  for (int64_t row = 0; row < count; ++row) {
    const auto& piece = step.sequences[static_cast<size_t>(row)];
    const nn::Slots* slots = piece.sequence->slots();
    if (piece.count != 1 || piece.begin != row || step.logit_rows[static_cast<size_t>(row)] != row) return false;
    if (slots != nullptr && !slots->empty()) return false;
  }
  return true;
}

// The inputs hold those of a step already: recording runs it.
void RecordedDecode::begin(Recording& recording) const {
  at::Tensor embeddings = recording.embeddings, rows = recording.rows;
  auto work = [&model = model_, &cache = cache_, embeddings, rows] {
    nn::FixedPagedAttention context(cache, {rows[1], rows.narrow(0, 2, rows.size(0) - 2).t()});
    Step fixed;
    fixed.embeddings = embeddings;
    fixed.positions = rows[0];
    fixed.context = &context;
    return model.step(fixed, cache);
  };
  recording.step = ops::record_step(work, embeddings.device());
}

RecordedDecode::Recording& RecordedDecode::recording(int64_t rows, int64_t blocks, const at::Tensor& like) {
  Recording& found = recordings_[{rows, blocks}];
  if (found.embeddings.defined()) return found;
  found.embeddings = at::empty({rows, like.size(1)}, like.options());
  found.rows = at::empty({2 + blocks, rows}, like.options().dtype(at::kLong));
  return found;
}

at::Tensor RecordedDecode::step(const Step& step) {
  const auto count = std::ssize(step.sequences);
  int64_t blocks = 1;
  for (const auto& piece : step.sequences) {
    piece.sequence->reserve(1);
    blocks = std::max<int64_t>(blocks, std::ssize(piece.sequence->blocks()));
  }
  const int64_t rows = power_of_two(count);
  Recording& used = recording(rows, power_of_two(blocks), step.embeddings);
  put_rows(used.embeddings, step.embeddings);
  put_rows(used.rows[0], step.positions);
  const int64_t told = used.rows.size(0) - 1;
  used.rows.narrow(0, 1, told).copy_(told_rows(step, rows, told - 1));
  if (used.step == nullptr) begin(used);
  at::Tensor logits = used.step->replay().narrow(0, 0, count);
  for (const auto& piece : step.sequences) piece.sequence->advance(1);
  ++steps_;
  return logits;
}

}  // namespace nuri
