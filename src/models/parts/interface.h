#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/kv_cache.h"

namespace nuri {

// Tensors under the names of the Hugging Face `forward` arguments and outputs.
using NamedTensors = std::map<std::string, at::Tensor>;

class Model {
 public:
  virtual ~Model() = default;
  // The whole model on whole tensors, without a cache; keeps the graph where gradients are on. Throws
  // Error(usage) for a tensor that is missing, unknown or of the wrong shape or type.
  virtual NamedTensors forward(const NamedTensors& inputs) = 0;
};

// A model that looks at pictures.
class MediaEncoder {
 public:
  virtual ~MediaEncoder() = default;
  // [C, H, W] of one picture as the processor makes it.
  virtual std::vector<int64_t> picture_shape() const = 0;
  // pixel_values [N, C, H, W] -> what the model makes of N pictures: rows for the decoder [N * tokens, D], hidden
  // states [N, T, D], or vectors [N, D].
  virtual at::Tensor encode_pictures(const at::Tensor& pixels) = 0;
};

// A ragged step of several cached sequences.
struct Step {
  at::Tensor embeddings;                    // [T, D]
  at::Tensor positions;                     // [T], or [3, T] for three-dimensional rotary positions
  std::vector<nn::StepSequence> sequences;  // which rows continue which sequence
  std::vector<int64_t> logit_rows;          // rows whose logits are wanted
};

// A model that continues a sequence of token ids, perhaps with media between them.
class CausalLM : public Model {
 public:
  struct Limits {
    int64_t vocabulary;
    int64_t context;  // positions the model was made for
    int64_t width;
  };
  virtual Limits limits() const = 0;
  virtual nn::CacheShape cache_shape() const = 0;
  virtual at::ScalarType dtype() const = 0;
  virtual at::Device device() const = 0;

  // Token ids [T] int64, media as the processor names it ("pixel_values") -> what the decoder reads, [T, D].
  // Throws Error(usage) for placeholders of media that are not there.
  virtual at::Tensor embed(const at::Tensor& ids, const NamedTensors& media) = 0;
  // The same for ids that a model made itself: a placeholder among them is a token like any other.
  virtual at::Tensor embed_made(const at::Tensor& ids) = 0;
  // Runs the rows of the step, appends to the caches -> logits [logit_rows, V].
  virtual at::Tensor step(const Step& step, nn::KvCache& cache) = 0;
};

}  // namespace nuri
