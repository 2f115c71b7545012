#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/experts.h"
#include "nn/kv_cache.h"

namespace nuri {

// Tensors under the names of the Hugging Face `forward` arguments and outputs.
using NamedTensors = nn::Slots;

// What a model shows of its work while it runs, to someone who asks.
struct Tap {
  struct LayerRouting {
    int64_t layer;
    nn::Routing routing;  // of each row of the batch, or of the step, in order
  };
  // Of the text decoder's layer of this number its output [rows, D], with its graph where gradients are on; -1: none.
  int64_t layer = -1;
  at::Tensor output;
  std::vector<LayerRouting> routing;  // of each layer with experts, in the order in which they ran
};

class Model {
 public:
  virtual ~Model() = default;
  // The whole model on whole tensors, without a cache; keeps the graph where gradients are on. Throws
  // Error(usage) for a tensor that is missing, unknown or of the wrong shape or type.
  virtual NamedTensors forward(const NamedTensors& inputs) = 0;

  // Weights that the work on one token leaves out: those of the experts that it is not sent to.
  virtual int64_t idle_parameters() const { return 0; }
  // Beginnings of the names of weights that the family's own training keeps as they were; the rest is trained.
  virtual std::vector<std::string> frozen_parts() const { return {}; }
  // Work that later runs profit from, done a little at a time while nobody waits; false: nothing is left.
  bool tend() { return tend_ && tend_(); }
  void tend_by(std::function<bool()> work) { tend_ = std::move(work); }
  // Where the runs that follow show their work; null: nowhere. The tap must outlive them.
  void show(Tap* tap) { tap_ = tap; }

 protected:
  Tap* tap_ = nullptr;

 private:
  std::function<bool()> tend_;
};

// A model that looks at pictures.
class MediaEncoder {
 public:
  virtual ~MediaEncoder() = default;
  // What the processor makes of one picture of that size, of zeros: "pixel_values" and what goes with them.
  virtual NamedTensors picture_inputs(int64_t width, int64_t height) const = 0;
  // The processor's tensors of some pictures -> what the model makes of them: rows for the decoder [tokens, D], hidden
  // states [N, T, D], or vectors [N, D].
  virtual at::Tensor encode_pictures(const NamedTensors& pictures) = 0;
};

// A model that gives pictures, and perhaps texts, a vector each; those that mean alike lie near.
class Embedder : public MediaEncoder {
 public:
  // What makes a probability of a picture and a text: the sigmoid of cosine * scale + bias, or a softmax of these over
  // the texts of a picture.
  struct Similarity {
    bool sigmoid;
    double scale, bias;
  };
  // Nothing: the model reads pictures alone.
  virtual std::optional<Similarity> similarity() const = 0;
  // `input_ids` [N, T], perhaps `attention_mask` [N, T] -> unit vectors [N, D]; only with a similarity.
  virtual at::Tensor embed_texts(const NamedTensors& texts) = 0;
  // The processor's tensors of N pictures -> unit vectors [N, D].
  virtual at::Tensor embed_pictures(const NamedTensors& pictures) = 0;
};

// What a decoder reads of one prompt.
struct DecoderInput {
  at::Tensor embeddings;                      // [T, D]
  at::Tensor positions;                       // [T] or [3, T] int64 on the CPU; undefined: 0 to T - 1
  int64_t shift = 0;                          // what a later token's position is beyond its index in the sequence
  std::shared_ptr<const NamedTensors> slots;  // what later steps look at besides: CachedSequence::slots
  at::Tensor ids;                             // [T] int64: an encoder-decoder's own first tokens; undefined: the prompt
};

// A ragged step of several cached sequences.
struct Step {
  at::Tensor embeddings;                    // [T, D]
  at::Tensor positions;                     // [T], or [3, T] for three-dimensional rotary positions
  std::vector<nn::StepSequence> sequences;  // which rows continue which sequence
  std::vector<int64_t> logit_rows;          // rows whose logits are wanted
  // Where the rows look, in place of `sequences`; the logits of all are wanted. Only for CausalLM::can_record_steps.
  nn::AttentionContext* context = nullptr;
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
  virtual at::ScalarType dtype() const = 0;  // of weights, and of keys and values
  virtual at::Device device() const = 0;
  // Of Step::embeddings, and of logits.
  at::ScalarType activation_type() const { return ops::activation_type(dtype(), device()); }

  // `input_ids` [B, T], perhaps `attention_mask` [B, T] (0 where a token is padding) and media as the processor names
  // them -> what the decoder reads of each row, padding left out. Throws Error(usage) for placeholders of media that
  // are not there, and for inputs that the model does not know.
  virtual std::vector<DecoderInput> embed(const NamedTensors& inputs) = 0;
  // Ids [T] that a model made itself -> [T, D]: a placeholder among them is a token like any other.
  virtual at::Tensor embed_made(const at::Tensor& ids) = 0;
  // Runs the rows of the step, appends to the caches -> logits [logit_rows, V].
  virtual at::Tensor step(const Step& step, nn::KvCache& cache) = 0;
  // Whether a step with Step::context has shapes that depend on those of its inputs alone and needs nothing of the
  // host, so that it can be recorded (ops/recorded_step.h).
  virtual bool can_record_steps() const { return false; }
};

}  // namespace nuri
