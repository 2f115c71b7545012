#include "models/parts/text/text_decoder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {

at::Tensor TextDecoder::positions(const NamedTensors& inputs, int64_t batch, int64_t length) const {
  if (!inputs.contains("position_ids")) return at::arange(length, at::kLong).repeat({batch});
  at::Tensor found = whole_input(inputs, "position_ids", 2);
  check_shape(found, {batch, length}, "position_ids");
  return found.reshape({-1});
}

at::Tensor TextDecoder::step(const Step& step, nn::KvCache& cache, Tap* tap) const {
  if (step.context != nullptr) return logits(forward(step.embeddings, step.positions, *step.context, {}, tap));
  nn::PagedCausalAttention context(cache, step.sequences);
  at::Tensor rows = at::tensor(step.logit_rows, at::kLong).to(step.embeddings.device());
  at::Tensor hidden = forward(step.embeddings, step.positions, context, rows, tap);
  context.finish();
  return logits(hidden);
}

namespace {

constexpr int64_t kIgnoredLabel = -100;

at::Tensor next_token_loss(const TextDecoder& decoder, const at::Tensor& hidden, const at::Tensor& labels,
                           int64_t vocabulary) {
  check_ids(labels.index({labels != kIgnoredLabel}), vocabulary, "labels");
  at::Tensor next = labels.narrow(1, 1, labels.size(1) - 1).reshape({-1}).to(hidden.device(), at::kLong);
  at::Tensor rows = (next != kIgnoredLabel).nonzero().squeeze(1);
  at::Tensor before = hidden.narrow(1, 0, hidden.size(1) - 1).reshape({-1, hidden.size(2)});
  at::Tensor scores = decoder.logits(before.index_select(0, rows)).to(at::kFloat);
  return at::cross_entropy_loss(scores, next.index_select(0, rows));
}

// [B, T], or as the reference takes it too, [B, 1, T, T].
at::Tensor attention_mask(const NamedTensors& inputs, int64_t batch, int64_t length) {
  auto found = inputs.find("attention_mask");
  if (found == inputs.end()) return {};
  at::IntArrayRef shape = found->second.sizes();
  if (shape != at::IntArrayRef({batch, length}) && shape != at::IntArrayRef({batch, 1, length, length}))
    throw Error(ErrorKind::usage, fmt::format("attention_mask: found shape [{}], expected [{}, {}] or [{}, 1, {}, {}]",
                                              fmt::join(shape, ", "), batch, length, batch, length, length));
  return found->second;
}

// The last `count` positions of [B, T, D]; 0: all.
at::Tensor last_rows(const at::Tensor& hidden, int64_t count) {
  if (count < 0) throw Error(ErrorKind::usage, fmt::format("logits_to_keep: found {}, expected at least 0", count));
  int64_t last = std::min(count, hidden.size(1));
  return last == 0 ? hidden : hidden.narrow(1, hidden.size(1) - last, last);
}

// The positions of [B, T, D] that `wanted` lists, from the end when negative.
at::Tensor chosen_rows(const at::Tensor& hidden, const at::Tensor& wanted) {
  int64_t length = hidden.size(1);
  at::Tensor rows = at::where(wanted < 0, wanted + length, wanted);
  check_ids(rows, length, "logits_to_keep");
  return hidden.index_select(1, rows.to(hidden.device()));
}

}  // namespace

NamedTensors forward_batch(const TextDecoder& decoder, const at::Tensor& embeddings, const NamedTensors& inputs,
                           Tap* tap, std::vector<std::shared_ptr<const nn::Slots>> slots) {
  int64_t batch = embeddings.size(0), length = embeddings.size(1), width = embeddings.size(2);
  auto grid = [&](const char* name) -> at::Tensor {  // an optional [B, T]
    if (!inputs.contains(name)) return {};
    at::Tensor found = whole_input(inputs, name, 2);
    check_shape(found, {batch, length}, name);
    return found;
  };
  at::Tensor positions = decoder.positions(inputs, batch, length);
  nn::DenseCausalAttention context(batch, length, attention_mask(inputs, batch, length), std::move(slots),
                                   decoder.dtype());
  at::Tensor hidden =
      decoder.forward(embeddings.reshape({batch * length, width}), positions.to(embeddings.device()), context, {}, tap);
  hidden = hidden.view({batch, length, width});
  NamedTensors outputs;
  if (at::Tensor labels = grid("labels"); labels.defined()) {
    outputs["loss"] = next_token_loss(decoder, hidden, labels, decoder.limits().vocabulary);
    if (at::GradMode::is_enabled()) return outputs;
  }
  if (auto keep = inputs.find("logits_to_keep"); keep != inputs.end()) {
    at::Tensor wanted = whole_input(inputs, "logits_to_keep", keep->second.dim()).reshape({-1});
    hidden = wanted.numel() == 1 ? last_rows(hidden, wanted.item<int64_t>()) : chosen_rows(hidden, wanted);
  }
  outputs["logits"] = decoder.logits(hidden);
  return outputs;
}

}  // namespace nuri
