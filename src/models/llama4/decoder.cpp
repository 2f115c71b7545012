#include "models/llama4/decoder.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/parts/inputs.h"
#include "nn/experts.h"

namespace nuri {
namespace {

// One expert that every token passes, and beside it those that the router chooses. A router's score, between 0 and 1,
// scales what its expert reads, not what it answers.
class Llama4Experts : public FeedForward {
 public:
  Llama4Experts(const WeightView& weights, const Llama4TextConfig& config, int64_t layer)
      : layer_(layer),
        count_(config.experts),
        chosen_(config.chosen),
        router_(weights / "router", config.decoder.width, config.experts, /*bias=*/false, config.decoder.deviation),
        shared_(weights / "shared_expert", config.decoder.width, config.decoder.hidden, activation_of(config),
                /*bias=*/false),
        experts_(weights / "experts",
                 {config.experts, config.decoder.width, config.decoder.hidden, activation_of(config)},
                 nn::Experts::Layout::direct, config.decoder.deviation) {}

  static ops::Activation activation_of(const Llama4TextConfig& config) {
    return activation_named(config.decoder.activation, "hidden_act");
  }

  at::Tensor operator()(const at::Tensor& x, Tap* tap) const override {
    auto [scores, experts] = router_(x).topk(chosen_, -1);  // [N, k] of [N, E]
    nn::Routing routing{experts, scores.to(at::kFloat).sigmoid().to(x.scalar_type())};
    if (tap != nullptr) tap->routing.push_back({layer_, routing});
    nn::Dispatch dispatch(routing.experts, count_);
    at::Tensor read = dispatch.gather(x) * dispatch.gather_weights(routing.weights);  // [N k, D]
    return shared_(x) + dispatch.combine(experts_(read, dispatch));
  }
  int64_t idle_parameters() const override { return (count_ - chosen_) * experts_.parameters_of_one(); }

 private:
  int64_t layer_, count_, chosen_;
  nn::Linear router_;
  nn::GatedMlp shared_;
  nn::Experts experts_;
};

std::unique_ptr<FeedForward> make_feed_forward(const WeightView& weights, const Llama4TextConfig& config,
                                               int64_t layer) {
  if (config.layers[layer].experts) return std::make_unique<Llama4Experts>(weights, config, layer);
  return std::make_unique<DenseFeedForward>(nn::GatedMlp(weights, config.decoder.width, config.dense_hidden,
                                                         Llama4Experts::activation_of(config), /*bias=*/false));
}

// Attention with rotary positions, inside chunks; or without positions, to everything, where queries may grow with
// their index so that attention stays sharp over long texts (Nakanishi 2025).
class Llama4Block : public DecoderBlock {
 public:
  Llama4Block(const WeightView& weights, const Llama4TextConfig& config, int64_t layer)
      : layer_(layer),
        config_(config),
        rotary_(config.layers[layer].rotary),
        options_{1.0 / std::sqrt(static_cast<double>(config.decoder.head_dim)), 0, config.layers[layer].chunk},
        attention_norm_(weights / "input_layernorm", config.decoder.width, config.decoder.epsilon),
        feed_forward_norm_(weights / "post_attention_layernorm", config.decoder.width, config.decoder.epsilon),
        qkv_(weights / "self_attn",
             {config.decoder.width, config.decoder.heads, config.decoder.kv_heads, config.decoder.head_dim,
              config.attention_bias, /*in_two=*/true},
             config.decoder.deviation),
        output_(weights / "self_attn" / "o_proj", config.decoder.heads * config.decoder.head_dim, config.decoder.width,
                config.attention_bias, config.decoder.deviation),
        feed_forward_(make_feed_forward(weights / "feed_forward", config, layer)) {}

  at::Tensor forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context, const at::Tensor& rows,
                     Tap* tap) const override {
    at::Tensor attended = attend(attention_norm_(x), angles, context);
    if (rows.defined()) x = x.index_select(0, rows), attended = attended.index_select(0, rows);
    x = x + output_(attended);
    return x + (*feed_forward_)(feed_forward_norm_(x), tap);
  }
  int64_t idle_parameters() const override { return feed_forward_->idle_parameters(); }

 private:
  at::Tensor attend(const at::Tensor& x, const nn::Angles& angles, nn::AttentionContext& context) const {
    nn::Qkv qkv = qkv_(x);
    if (rotary_) {
      qkv.query = rotate(qkv.query, angles);
      qkv.key = rotate(qkv.key, angles);
    } else if (config_.temperature) {
      qkv.query = sharpen(qkv.query, context.indices());
    }
    return context.attend(layer_, qkv, options_);
  }

  // The norm, without weights, comes behind the rotation.
  at::Tensor rotate(const at::Tensor& x, const nn::Angles& angles) const {
    at::Tensor rotated = ops::rotate_pairs(x, angles.cosine, angles.sine);
    return config_.query_key_norm ? ops::rms_norm(rotated, {}, config_.decoder.epsilon) : rotated;
  }

  // query [N, H, d], indices [N]
  at::Tensor sharpen(const at::Tensor& query, const at::Tensor& indices) const {
    at::Tensor place = indices.to(query.device()).to(at::kFloat) + 1;
    at::Tensor factor = (place / config_.temperature_floor).floor().log1p() * config_.temperature_scale + 1;
    return (query * factor.view({-1, 1, 1})).to(query.scalar_type());
  }

  int64_t layer_;
  Llama4TextConfig config_;
  bool rotary_;
  nn::AttentionOptions options_;
  nn::RmsNorm attention_norm_, feed_forward_norm_;
  nn::QkvProjection qkv_;
  nn::Linear output_;
  std::unique_ptr<FeedForward> feed_forward_;
};

}  // namespace

void keep_padding(const NamedTensors& inputs, std::vector<DecoderInput>& prompts) {
  auto mask = inputs.find("attention_mask");
  if (mask == inputs.end()) return;
  at::Tensor padding = (mask->second.to(at::kBool).to(at::kLong).cumsum(-1) == 0).sum(-1).cpu();  // [B]
  for (size_t row = 0; row < prompts.size(); ++row)
    if (at::Tensor count = padding[static_cast<int64_t>(row)]; count.item<int64_t>() > 0)
      prompts[row].slots = std::make_shared<NamedTensors>(NamedTensors{{nn::kPaddingSlot, count}});
}

LlamaDecoder make_llama4_decoder(const WeightView& weights, const Llama4TextConfig& config) {
  return LlamaDecoder(weights, config.decoder,
                      [&](const WeightView& block, const LlamaDecoderConfig&, int64_t layer, int64_t) {
                        return std::make_unique<Llama4Block>(block, config, layer);
                      });
}

}  // namespace nuri
