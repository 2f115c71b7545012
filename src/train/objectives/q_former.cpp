#include "train/objectives/q_former.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "models/composed/retrieval.h"
#include "train/objectives/captions.h"
#include "train/objectives/query_texts.h"
#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

constexpr double kStartTemperature = 0.07, kSmoothing = 0.1;  // LAVIS
constexpr int64_t kLeftOut = -100;

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets, double smoothing) {
  return at::cross_entropy_loss(logits.to(at::kFloat), targets, {}, at::Reduction::Mean, kLeftOut, smoothing);
}

class QFormerObjective : public Objective {
 public:
  QFormerObjective(const ObjectiveContext& context, ComposedRetrieval& model)
      : model_(model),
        source_(context.options.child("data"), context.seed),
        texts_(context.folder),
        korean_share_(context.options.optional("korean_share", 0.5)),
        temperature_(context.weights.get("temperature", {}, Init::constant(kStartTemperature))) {
    if (source_.options().max_objects < 1) context.options.child("data").reject("max_objects", "at least 1");
  }

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<Scene> scenes = source_.make(first, count);
    std::vector<std::string> captions;
    for (int64_t i = 0; i < count; ++i) {
      uint64_t index = first + static_cast<uint64_t>(i);
      bool korean = CounterRandom(source_.seed() + 4, index).chance(korean_share_);
      captions.push_back(
          caption_of(source_.world(), scenes[static_cast<size_t>(i)], korean ? Language::korean : Language::english));
    }
    at::Tensor pictures = model_.look(scene_pixels(scenes));
    QueryReader::Text whole = texts_(captions, QueryTexts::Begin::whole);
    at::Tensor scores = this->scores(pictures, whole);
    CounterRandom random(source_.seed() + 5, first);
    at::Tensor contrast = contrast_loss(scores), match = match_loss(pictures, whole, scores.detach(), random);
    QueryReader::Text told = texts_(captions, QueryTexts::Begin::told);
    at::Tensor text = told_loss(model_.tell(pictures, told), told.ids, told.mask);
    at::Tensor right = (scores.argmax(1) == at::arange(count, at::kLong)).to(at::kFloat).mean();
    return {contrast + match + text,
            {{"contrast", contrast.item<double>()},
             {"match", match.item<double>()},
             {"text", text.item<double>()},
             {"right", right.item<double>()}}};
  }

 private:
  at::Tensor scores(const at::Tensor& pictures, const QueryReader::Text& text) const {
    const QueryReader& reader = model_.reader();
    at::Tensor cosines = QueryReader::contrast(reader.embed_pictures(pictures), reader.read(text).vectors);
    return cosines.to(at::kFloat) / temperature_.clamp(0.001, 0.5);
  }

  static at::Tensor contrast_loss(const at::Tensor& scores) {
    at::Tensor own = at::arange(scores.size(0), at::kLong);
    return (cross_entropy(scores, own, kSmoothing) + cross_entropy(scores.t(), own, kSmoothing)) / 2;
  }

  // The true pairs, each picture with a text that nearly fits, and each text with such a picture.
  at::Tensor match_loss(const at::Tensor& pictures, const QueryReader::Text& text, const at::Tensor& scores,
                        CounterRandom& random) const {
    int64_t count = pictures.size(0);
    at::Tensor other_texts = at::tensor(hard_negatives(scores, random), at::kLong);
    at::Tensor other_pictures = at::tensor(hard_negatives(scores.t(), random), at::kLong);
    auto with_others = [&](const at::Tensor& all) { return at::cat({all, all.index_select(0, other_texts), all}); };
    at::Tensor seen = at::cat({pictures, pictures, pictures.index_select(0, other_pictures)});
    QueryReader::Text read{with_others(text.ids), with_others(text.mask)};
    const QueryReader& reader = model_.reader();
    at::Tensor fits = at::cat({at::ones({count}, at::kLong), at::zeros({2 * count}, at::kLong)});
    return cross_entropy(reader.match(reader.read_together(seen, read)), fits, 0);
  }

  ComposedRetrieval& model_;
  SceneSource source_;
  QueryTexts texts_;
  double korean_share_;
  at::Tensor temperature_;
};

}  // namespace

std::vector<int64_t> hard_negatives(const at::Tensor& scores, CounterRandom& random) {
  at::Tensor others = scores.to(at::kDouble).clone().fill_diagonal_(-std::numeric_limits<double>::infinity());
  at::Tensor up_to = others.softmax(1).cumsum(1).contiguous();
  std::vector<int64_t> chosen;
  for (int64_t row = 0; row < scores.size(0); ++row) {
    const double* sums = up_to.const_data_ptr<double>() + row * up_to.size(1);
    int64_t at = std::upper_bound(sums, sums + up_to.size(1), random.uniform()) - sums;
    if (at >= up_to.size(1)) at = row == up_to.size(1) - 1 ? row - 1 : up_to.size(1) - 1;  // rounding left a gap
    chosen.push_back(at);
  }
  return chosen;
}

at::Tensor told_loss(const at::Tensor& logits, const at::Tensor& ids, const at::Tensor& mask) {
  int64_t behind = ids.size(1) - 1;
  at::Tensor targets = ids.narrow(1, 1, behind).masked_fill(mask.narrow(1, 1, behind).logical_not(), kLeftOut);
  return cross_entropy(logits.narrow(1, 0, behind).flatten(0, 1), targets.flatten(), kSmoothing);
}

std::unique_ptr<Objective> make_q_former_objective(const ObjectiveContext& context) {
  auto* model = dynamic_cast<ComposedRetrieval*>(&context.model);
  if (model == nullptr) context.options.reject("kind", "another one: q_former teaches a NuriComposedRetrieval");
  return std::make_unique<QFormerObjective>(context, *model);
}

}  // namespace nuri
