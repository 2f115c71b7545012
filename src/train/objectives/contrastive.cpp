#include "train/objectives/contrastive.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/random.h"
#include "text/tokenizer.h"
#include "train/objectives/captions.h"
#include "train/objectives/dense.h"

namespace nuri {
namespace {

class ContrastiveObjective : public Objective {
 public:
  ContrastiveObjective(const ObjectiveContext& context, const ConfigReader& vision, int64_t text_context)
      : model_(context.model),
        source_(context.options.child("data"), context.seed),
        tokenizer_(Tokenizer::from_folder(context.folder)),
        softmax_(context.options.optional<std::string>("loss", "sigmoid") == "softmax"),
        korean_share_(context.options.optional("korean_share", 0.5)),
        dense_(context.options.optional("dense", 0.0)),
        text_context_(text_context) {
    if (!softmax_ && context.options.optional<std::string>("loss", "sigmoid") != "sigmoid")
      context.options.reject("loss", "sigmoid or softmax");
    auto end = tokenizer_.id_of("<|endoftext|>");
    if (!end) throw Error(ErrorKind::usage, fmt::format("{}: found no token <|endoftext|>", context.folder.string()));
    end_ = *end;
    if (dense_ > 0) teacher_.emplace(context.weights, source_.world(), vision, 0);
  }

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<Scene> scenes = source_.make(first, count);
    NamedTensors outputs =
        model_.forward({{"pixel_values", scene_pixels(scenes)}, {"input_ids", captions(scenes, first)}});
    const at::Tensor& logits = outputs.at("logits_per_text");
    at::Tensor pairs = softmax_ ? softmax_pair_loss(logits) : sigmoid_pair_loss(logits);
    at::Tensor right = (logits.argmax(1) == at::arange(count, at::kLong)).to(at::kFloat).mean();
    Loss result{pairs, {{"pairs", pairs.item<double>()}, {"pairs_right", right.item<double>()}}};
    if (!teacher_) return result;
    Loss dense = teacher_->loss(outputs.at("vision_model_output.last_hidden_state"), scenes);
    result.total = result.total + dense_ * dense.total;
    result.parts.insert(result.parts.end(), dense.parts.begin(), dense.parts.end());
    return result;
  }

 private:
  // [B, text context], padded with the end of text.
  at::Tensor captions(const std::vector<Scene>& scenes, uint64_t first) const {
    at::Tensor ids = at::full({static_cast<int64_t>(scenes.size()), text_context_}, end_, at::kLong);
    for (size_t i = 0; i < scenes.size(); ++i) {
      bool korean = CounterRandom(source_.seed() + 2, first + i).chance(korean_share_);
      std::string caption = caption_of(source_.world(), scenes[i], korean ? Language::korean : Language::english);
      std::vector<int32_t> tokens = tokenizer_.encode(caption, false);
      size_t kept = std::min<size_t>(tokens.size(), static_cast<size_t>(text_context_) - 1);
      for (size_t j = 0; j < kept; ++j) ids[static_cast<int64_t>(i)][static_cast<int64_t>(j)] = tokens[j];
    }
    return ids;
  }

  Model& model_;
  SceneSource source_;
  Tokenizer tokenizer_;
  bool softmax_;
  double korean_share_, dense_;
  int64_t text_context_, end_ = 0;
  std::optional<DenseTeacher> teacher_;
};

}  // namespace

at::Tensor sigmoid_pair_loss(const at::Tensor& logits) {
  at::Tensor sign = 2 * at::eye(logits.size(0)) - 1;
  return -at::log_sigmoid(sign * logits).sum(1).mean();
}

at::Tensor softmax_pair_loss(const at::Tensor& logits) {
  at::Tensor targets = at::arange(logits.size(0), at::kLong);
  return (at::cross_entropy_loss(logits, targets) + at::cross_entropy_loss(logits.t(), targets)) / 2;
}

std::unique_ptr<Objective> make_contrastive_objective(const ObjectiveContext& context) {
  const ConfigReader& model = context.model_config;
  return std::make_unique<ContrastiveObjective>(
      context, model.child("vision_config"), model.child("text_config").required<int64_t>("max_position_embeddings"));
}

}  // namespace nuri
