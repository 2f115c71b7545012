#include "models/parts/text/gated_cross_layer.h"
#include "models/parts/inputs.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace nuri {
namespace {

// Which tiles, or other equal parts of the states, the rows of one sequence look at [count, n]; undefined: all at all.
at::Tensor tiles_seen(const nn::SequenceRows& rows) {
  auto found = rows.slots->find(GatedCrossLayer::kLookingSlot);
  if (found == rows.slots->end()) return {};
  const at::Tensor& of_prompt = found->second;
  at::Tensor places = at::arange(rows.past, rows.past + rows.count, at::kLong).clamp_max(of_prompt.size(0) - 1);
  return of_prompt.index_select(0, places.to(of_prompt.device()));
}

// tiles [count, n], true where a row looks -> [1, 1, count, S], for tiles of S / n states each. A row that looks at
// nothing attends to everything: to nothing it cannot.
at::Tensor states_seen(const at::Tensor& tiles, int64_t states) {
  int64_t count = tiles.size(0), each = states / tiles.size(1);
  at::Tensor seen = tiles.logical_or(tiles.any(1, /*keepdim=*/true).logical_not());
  return seen.unsqueeze(2).expand({count, tiles.size(1), each}).reshape({1, 1, count, states});
}

}  // namespace

GatedCrossLayer::GatedCrossLayer(const WeightView& weights, const LlamaDecoderConfig& config, int64_t layer,
                                 Blind blind)
    : key_slot_(fmt::format("cross_attention.{}.key", layer)),
      value_slot_(fmt::format("cross_attention.{}.value", layer)),
      blind_(blind),
      heads_(config.heads),
      kv_heads_(config.kv_heads),
      head_dim_(config.head_dim),
      attention_norm_(weights / "input_layernorm", config.width, config.epsilon),
      mlp_norm_(weights / "post_attention_layernorm", config.width, config.epsilon),
      query_norm_(weights / "cross_attn" / "q_norm", config.head_dim, config.epsilon),
      key_norm_(weights / "cross_attn" / "k_norm", config.head_dim, config.epsilon),
      query_(weights / "cross_attn" / "q_proj", config.width, heads_ * head_dim_, false, config.deviation),
      key_(weights / "cross_attn" / "k_proj", config.width, kv_heads_ * head_dim_, false, config.deviation),
      value_(weights / "cross_attn" / "v_proj", config.width, kv_heads_ * head_dim_, false, config.deviation),
      output_(weights / "cross_attn" / "o_proj", heads_ * head_dim_, config.width, false, config.deviation),
      mlp_(weights / "mlp", config.width, config.hidden, activation_named(config.activation, "hidden_act"), false),
      attention_gate_(weights.get("cross_attn_attn_gate", {1}, Init::constant(0))),
      mlp_gate_(weights.get("cross_attn_mlp_gate", {1}, Init::constant(0))) {}

void GatedCrossLayer::prepare(const at::Tensor& states, nn::Slots& slots) const {
  auto projected = nn::Linear::together(states, {&key_, &value_});
  auto in_heads = [&](const at::Tensor& x) { return x.view({x.size(0), kv_heads_, head_dim_}); };  // [S, K, D / H]
  slots[key_slot_] = key_norm_(in_heads(projected[0])).transpose(0, 1).contiguous();
  slots[value_slot_] = in_heads(projected[1]).transpose(0, 1).contiguous();
}

at::Tensor GatedCrossLayer::forward(at::Tensor x, const nn::Angles&, nn::AttentionContext& context,
                                    const at::Tensor& rows, Tap*) const {
  std::vector<nn::SequenceRows> looking;
  std::vector<at::Tensor> places;
  int64_t count = 0;
  for (nn::SequenceRows sequence : context.sequences()) {
    if (sequence.slots == nullptr || !sequence.slots->contains(key_slot_)) continue;
    places.push_back(at::arange(sequence.begin, sequence.begin + sequence.count, at::kLong));
    sequence.begin = count;
    count += sequence.count;
    looking.push_back(sequence);
  }
  if (count == x.size(0)) {
    x = look(x, looking);
  } else if (count > 0) {
    at::Tensor chosen = at::cat(places).to(x.device());
    x = x.index_copy(0, chosen, look(x.index_select(0, chosen), looking));
  }
  return rows.defined() ? x.index_select(0, rows) : x;
}

at::Tensor GatedCrossLayer::look(at::Tensor x, const std::vector<nn::SequenceRows>& sequences) const {
  at::Tensor query = query_norm_(query_(attention_norm_(x)).view({x.size(0), heads_, head_dim_}));
  std::vector<at::Tensor> attended, sees;
  bool masked = false;
  for (const auto& rows : sequences) {
    at::Tensor own = query.narrow(0, rows.begin, rows.count).transpose(0, 1).unsqueeze(0);  // [1, H, count, D / H]
    at::Tensor key = rows.slots->at(key_slot_).unsqueeze(0), value = rows.slots->at(value_slot_).unsqueeze(0);
    at::Tensor tiles = tiles_seen(rows), mask;
    if (tiles.defined()) mask = states_seen(tiles, key.size(2));
    at::Tensor out = ops::attention(own, key, value, mask, /*causal=*/false, 1.0 / std::sqrt(head_dim_));
    attended.push_back(out.squeeze(0).transpose(0, 1).reshape({rows.count, heads_ * head_dim_}));
    masked = masked || tiles.defined();
    sees.push_back(tiles.defined() ? tiles.any(1, true).to(x.scalar_type()) : at::ones({rows.count, 1}, x.options()));
  }
  at::Tensor seen = output_(at::cat(attended)), seeing = masked ? at::cat(sees) : at::Tensor();
  if (masked && blind_ == Blind::pass) seen = seen * seeing;
  x = x + attention_gate_.tanh() * seen;
  at::Tensor fed = mlp_(mlp_norm_(x));
  if (masked) fed = fed * seeing;
  return x + mlp_gate_.tanh() * fed;
}

}  // namespace nuri
