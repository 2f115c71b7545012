#include "train/objectives/alignment.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "text/tokenizer.h"
#include "train/objectives/cosine.h"
#include "train/objectives/dense.h"

namespace nuri {
namespace {

int64_t place_step(const ConfigReader& options) {
  auto step = options.required<int64_t>("place_step");
  if (step < 1) options.reject("place_step", "pixels");
  return step;
}

class AlignmentObjective : public Objective {
 public:
  AlignmentObjective(const ObjectiveContext& context, CausalLM& decoder, MediaEncoder& encoder,
                     const ConfigReader& vision, int64_t width)
      : decoder_(decoder),
        encoder_(encoder),
        source_(context.options.child("data"), context.seed),
        tokenizer_(Tokenizer::from_folder(context.folder)),
        labels_(source_.world(), vision.required<int64_t>("patch_size")),
        steps_(context.weights / "place", width, vision.required<int64_t>("image_size"), place_step(context.options)) {}

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<Scene> scenes = source_.make(first, count);
    PatchLabels::Targets targets = labels_(scenes);
    at::Tensor rows = encoder_.encode_pictures({{"pixel_values", scene_pixels(scenes)}});  // [B * P, D]
    at::Tensor covered = (targets.classes != labels_.background()).nonzero().squeeze(1);
    Loss loss = name_loss(rows.index_select(0, covered), targets.classes.index_select(0, covered));
    // Of root mean square 1, as the decoder's first norm makes them.
    at::Tensor normed = unit_rows(rows) * std::sqrt(static_cast<double>(rows.size(1)));
    Loss steps = steps_.loss(normed.index_select(0, covered), targets.boxes.index_select(0, covered));
    // As long as what the decoder is used to read.
    at::Tensor length = (rows.norm(2, -1) / names(Language::english).length - 1).square().mean();
    loss.total = loss.total + steps.total + length;
    loss.parts.insert(loss.parts.end(), steps.parts.begin(), steps.parts.end());
    loss.parts.push_back({"length", length.item<double>()});
    return loss;
  }

 private:
  // The decoder's embeddings of all names: the mean of each one's tokens as a unit vector, [classes, D], and their
  // mean length before. No gradient.
  struct Names {
    at::Tensor directions;
    double length = 0;
  };

  Loss name_loss(const at::Tensor& rows, const at::Tensor& wanted) {
    at::Tensor total = at::zeros({}), right = at::zeros({});
    for (Language language : {Language::english, Language::korean}) {
      at::Tensor scores = cosine_scores(rows, names(language).directions);
      total = total + at::cross_entropy_loss(scores, wanted);
      // A written word may be an object's name too: the two share their embedding, and rounding decides.
      at::Tensor short_of_best = scores.amax(1) - scores.gather(1, wanted.unsqueeze(1)).squeeze(1);
      right = right + (short_of_best < 1e-4).to(at::kFloat).mean() / 2;
    }
    return {total, {{"patch_naming", total.item<double>()}, {"patch_right", right.item<double>()}}};
  }

  const Names& names(Language language) {
    Names& names = names_[language == Language::korean];
    if (names.directions.defined()) return names;
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> rows(labels_.background());
    auto embed = [&](const std::string& name) {
      std::vector<int32_t> ids = tokenizer_.encode(name, false);
      return decoder_.embed_made(at::tensor(std::vector<int64_t>(ids.begin(), ids.end()), at::kLong)).mean(0);
    };
    for (int64_t i = 0; i < source_.world().size(); ++i) rows[i] = embed(source_.world().objects()[i].name(language));
    for (const auto& [word, number] : labels_.words()) rows[number] = embed(word);
    at::Tensor table = at::stack(rows);
    names = {unit_rows(table), table.norm(2, -1).mean().item<double>()};
    return names;
  }

  CausalLM& decoder_;
  MediaEncoder& encoder_;
  SceneSource source_;
  Tokenizer tokenizer_;
  PatchLabels labels_;
  PlaceSteps steps_;
  std::array<Names, 2> names_;
};

}  // namespace

std::unique_ptr<Objective> make_alignment_objective(const ObjectiveContext& context) {
  const ConfigReader& model = context.model_config;
  auto* decoder = dynamic_cast<CausalLM*>(&context.model);
  auto* encoder = dynamic_cast<MediaEncoder*>(&context.model);
  if (decoder == nullptr || encoder == nullptr)
    model.reject("architectures", "a model that looks at pictures and continues a text, for alignment");
  return std::make_unique<AlignmentObjective>(context, *decoder, *encoder, model.child("vision_config"),
                                              model.child("text_config").required<int64_t>("hidden_size"));
}

}  // namespace nuri
