#pragma once

#include "models/parts/text/language_model.h"
#include "models/parts/vision/blip_vision.h"
#include "models/parts/vision/picture_cache.h"

namespace nuri {

struct QueryCaptionerConfig {
  BlipVisionConfig vision;
  int64_t queries, query_width;
  std::optional<int64_t> image_token;
};

// What BLIP-2 and InstructBLIP have in common: learned queries draw from a picture, and become words of a language
// model in the places of the prompt's image tokens. How they draw is the family's.
class QueryCaptioner : public CausalLM, public MediaEncoder {
 public:
  NamedTensors forward(const NamedTensors& inputs) override;
  std::vector<DecoderInput> embed(const NamedTensors& inputs) override;
  at::Tensor embed_made(const at::Tensor& ids) override { return language_->embed(ids); }
  at::Tensor step(const Step& step, nn::KvCache& cache) override { return language_->step(step, cache, tap_); }
  bool can_record_steps() const override { return tap_ == nullptr && language_->can_record_steps(); }
  int64_t idle_parameters() const override { return language_->idle_parameters(); }

  std::vector<std::string> frozen_parts() const override { return {"vision_model.", "language_model."}; }

  Limits limits() const override { return language_->limits(); }
  nn::CacheShape cache_shape() const override { return language_->cache_shape(); }
  at::ScalarType dtype() const override { return language_->embedding().scalar_type(); }
  at::Device device() const override { return language_->embedding().device(); }

  NamedTensors picture_inputs(int64_t, int64_t) const override { return one_picture(config_.vision); }
  at::Tensor encode_pictures(const NamedTensors& pictures) override;

 protected:
  // Reads vision_model, query_tokens, language_projection and language_model.
  QueryCaptioner(const WeightView& weights, const QueryCaptionerConfig& config, const ConfigReader& text);

  // The Q-Former on queries [B, Q, D] and what the encoder made of the pictures [B, P, E] -> [B, Q or more, D]
  virtual at::Tensor draw(const at::Tensor& queries, const at::Tensor& pictures, const NamedTensors& inputs) const = 0;
  // Names of further inputs that draw() reads.
  virtual std::vector<std::string> query_names() const { return {}; }

 private:
  at::Tensor drawn(const at::Tensor& pictures, const NamedTensors& inputs) const;
  at::Tensor words_of(const at::Tensor& drawn) const;
  at::Tensor fuse(const at::Tensor& ids, const at::Tensor& words) const;
  std::vector<std::string> names(std::vector<std::string> others) const;

  QueryCaptionerConfig config_;
  BlipVision vision_;
  at::Tensor queries_;  // [1, Q, D]
  std::unique_ptr<LanguageModel> language_;
  nn::Linear projection_;
  PictureCache seen_;
};

}  // namespace nuri
