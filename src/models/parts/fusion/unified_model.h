#pragma once

#include "models/parts/text/llama_decoder.h"
#include "models/parts/vision/picture_cache.h"

namespace nuri {

// The eyes of a model of the unified embedding design: pictures are cut into tiles, an encoder and a connector turn
// each tile into rows as the decoder reads them.
class TileReader {
 public:
  virtual ~TileReader() = default;
  // What comes with pictures: "pixel_values", and perhaps more.
  virtual std::vector<std::string> inputs() const { return {"pixel_values"}; }
  // As MediaEncoder::picture_inputs.
  virtual NamedTensors picture_inputs(int64_t width, int64_t height) const = 0;
  // The tiles of all pictures among the inputs, checked, in the type of `like`: [N, C, S, S]
  virtual at::Tensor tiles(const NamedTensors& inputs, const at::Tensor& like) const = 0;
  // tiles [N, C, S, S] -> [N, t, D]
  virtual at::Tensor encode(const at::Tensor& tiles) const = 0;
  // What is made of the tiles [N, t, D] -> `image_hidden_states` [..., D], whose rows the prompt takes in order.
  virtual at::Tensor arrange(const at::Tensor& features, const NamedTensors& inputs) const = 0;
};

// The unified embedding design as a whole (Liu et al. 2023): the rows of pictures stand where the prompt has image
// tokens, and a decoder built like Llama's reads all.
class UnifiedModel : public CausalLM, public MediaEncoder {
 public:
  // `image_token`: the id in whose places the rows stand; negative: not known, and the model reads text alone.
  UnifiedModel(std::unique_ptr<TileReader> reader, const WeightView& language_model, const LlamaDecoderConfig& config,
               int64_t image_token)
      : reader_(std::move(reader)), decoder_(language_model, config), image_token_(image_token) {}

  NamedTensors forward(const NamedTensors& inputs) override;

  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }

  std::vector<DecoderInput> embed(const NamedTensors& inputs) override;
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }
  at::Tensor step(const Step& step, nn::KvCache& cache) override { return decoder_.step(step, cache, tap_); }
  bool can_record_steps() const override { return tap_ == nullptr && decoder_.can_record_steps(); }

  NamedTensors picture_inputs(int64_t width, int64_t height) const override {
    return reader_->picture_inputs(width, height);
  }
  at::Tensor encode_pictures(const NamedTensors& pictures) override;

 private:
  at::Tensor tiles(const NamedTensors& inputs) const { return reader_->tiles(inputs, decoder_.embedding()); }
  // ids [B, T] -> [B, T, D]; no features: undefined
  at::Tensor fuse(const at::Tensor& ids, const at::Tensor& features) const;

  std::unique_ptr<TileReader> reader_;
  LlamaDecoder decoder_;
  int64_t image_token_;
  PictureCache seen_;
};

}  // namespace nuri
