#include "models/mixtral/model.h"

#include <ATen/ATen.h>

#include "models/parts/inputs.h"
#include "models/parts/text/language_model.h"
#include "models/parts/text/llama_decoder.h"
#include "nn/experts.h"

namespace nuri {
namespace {

// Each token passes the experts that the router prefers; their answers are weighed by its softmax over those chosen.
class MixtralFeedForward : public FeedForward {
 public:
  MixtralFeedForward(const WeightView& weights, const MixtralConfig& config, int64_t layer)
      : layer_(layer),
        count_(config.experts),
        chosen_(config.chosen),
        router_(weights / "gate", config.decoder.width, config.experts, /*bias=*/false, config.decoder.deviation),
        experts_(weights / "experts",
                 {config.experts, config.decoder.width, config.decoder.hidden,
                  activation_named(config.decoder.activation, "hidden_act")},
                 nn::Experts::Layout::transposed, config.decoder.deviation) {}

  at::Tensor operator()(const at::Tensor& x, Tap* tap) const override {
    nn::Routing routing = route(x);
    if (tap != nullptr) tap->routing.push_back({layer_, routing});
    nn::Dispatch dispatch(routing.experts, count_);
    at::Tensor answers = experts_(dispatch.gather(x), dispatch);  // [N k, D]
    at::Tensor weighed = (answers * dispatch.gather_weights(routing.weights)).to(x.scalar_type());
    return dispatch.combine(weighed);
  }
  int64_t idle_parameters() const override { return (count_ - chosen_) * experts_.parameters_of_one(); }

 private:
  nn::Routing route(const at::Tensor& x) const {
    at::Tensor likely = router_(x).softmax(-1, at::kFloat);  // [N, E]
    auto [weights, experts] = likely.topk(chosen_, -1);      // [N, k]
    return {experts, weights / weights.sum(-1, /*keepdim=*/true)};
  }

  int64_t layer_, count_, chosen_;
  nn::Linear router_;
  nn::Experts experts_;
};

}  // namespace

std::unique_ptr<Model> make_mixtral(const ConfigReader& config, const WeightView& weights) {
  MixtralConfig mixtral = parse_mixtral_config(config);
  auto make_block = [&](const WeightView& block, const LlamaDecoderConfig& decoder, int64_t layer,
                        int64_t cached_layer) {
    auto feed_forward = std::make_unique<MixtralFeedForward>(block / "mlp", mixtral, layer);
    return std::make_unique<LlamaBlock>(block, decoder, layer, cached_layer, std::move(feed_forward));
  };
  return make_decoder_model(std::make_unique<LlamaDecoder>(weights, mixtral.decoder, make_block));
}

NameRules mixtral_names(const ConfigReader& config) {
  NameRules rules;
  rules.renames = {{"model.layers.*.block_sparse_moe.", "model.layers.*.mlp."}};
  rules.ignored = {"*rotary_emb.inv_freq"};
  return rules;
}

}  // namespace nuri
