#include "train/objectives/dense.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/parallel.h"

namespace nuri {
namespace {

// Objects, then the words of both languages, then the background.
std::map<std::string, int64_t> number_words(const EmojiWorld& world) {
  std::map<std::string, int64_t> numbers;
  int64_t next = world.size();
  for (Language language : {Language::english, Language::korean})
    for (const auto& word : world.scene_words(language))
      if (numbers.emplace(word, next).second) ++next;
  return numbers;
}

// 1 - IoU of boxes [N, 4] as x1, y1, x2, y2; smooth where they do not meet (Rezatofighi et al. 2019).
at::Tensor generalised_iou_loss(const at::Tensor& a, const at::Tensor& b) {
  auto corner = [](const at::Tensor& t, int64_t from) { return t.narrow(1, from, 2); };
  auto area = [](const at::Tensor& size) { return size.select(1, 0) * size.select(1, 1); };
  at::Tensor size_a = (corner(a, 2) - corner(a, 0)).clamp_min(0), size_b = corner(b, 2) - corner(b, 0);
  at::Tensor inner = (at::minimum(corner(a, 2), corner(b, 2)) - at::maximum(corner(a, 0), corner(b, 0))).clamp_min(0);
  at::Tensor outer = at::maximum(corner(a, 2), corner(b, 2)) - at::minimum(corner(a, 0), corner(b, 0));
  at::Tensor both = area(inner), either = area(size_a) + area(size_b) - both, hull = area(outer.clamp_min(0));
  return 1 - both / (either + 1e-6) + (hull - either) / (hull + 1e-6);
}

int64_t place_step(const ConfigReader& options) {
  auto step = options.optional<int64_t>("place_step", 0);
  if (step < 0) options.reject("place_step", "pixels, or 0 for none");
  return step;
}

class DenseObjective : public Objective {
 public:
  DenseObjective(const ObjectiveContext& context, const ConfigReader& vision)
      : model_(context.model),
        source_(context.options.child("data"), context.seed),
        teacher_(context.weights, source_.world(), vision, place_step(context.options)) {}

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<Scene> scenes = source_.make(first, count);
    NamedTensors outputs = model_.forward({{"pixel_values", scene_pixels(scenes)}});
    return teacher_.loss(outputs.at("last_hidden_state"), scenes);
  }

 private:
  Model& model_;
  SceneSource source_;
  DenseTeacher teacher_;
};

}  // namespace

PatchLabels::PatchLabels(const EmojiWorld& world, int64_t patch)
    : world_(world), patch_(patch), word_class_(number_words(world)) {}

void PatchLabels::fill(const Scene& scene, int64_t* classes, float* boxes) const {
  float side = static_cast<float>(scene.picture.width);
  auto put = [&](int64_t index, int64_t class_index, const Box& box) {
    classes[index] = class_index;
    const int corners[] = {box.x1, box.y1, box.x2, box.y2};
    for (int i = 0; i < 4; ++i) boxes[4 * index + i] = static_cast<float>(corners[i]) / side;
  };
  std::vector<int> owners = dense_targets(scene, static_cast<int>(patch_));
  int64_t columns = scene.picture.width / patch_;
  for (int64_t i = 0; i < static_cast<int64_t>(owners.size()); ++i) {
    int64_t x = i % columns * patch_, y = i / columns * patch_;
    classes[i] = background();
    std::fill_n(boxes + 4 * i, 4, 0.0f);
    if (owners[i] >= 0) {
      const PlacedObject& object = scene.objects[owners[i]];
      put(i, object.object, object.box);
    } else if (scene.word) {
      const Box& box = scene.word->box;
      int64_t wide = std::min<int64_t>(box.x2, x + patch_) - std::max<int64_t>(box.x1, x);
      int64_t high = std::min<int64_t>(box.y2, y + patch_) - std::max<int64_t>(box.y1, y);
      if (wide > 0 && high > 0 && 4 * wide * high >= patch_ * patch_) put(i, word_class_.at(scene.word->text), box);
    }
  }
}

PatchLabels::Targets PatchLabels::operator()(const std::vector<Scene>& scenes) const {
  int64_t columns = scenes.front().picture.width / patch_, each = columns * columns;
  int64_t count = static_cast<int64_t>(scenes.size());
  Targets t{at::empty({count * each}, at::kLong), at::empty({count * each, 4}, at::kFloat)};
  int64_t* classes = t.classes.data_ptr<int64_t>();
  float* boxes = t.boxes.data_ptr<float>();
  parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fill(scenes[i], classes + i * each, boxes + 4 * i * each);
  });
  return t;
}

DenseTeacher::DenseTeacher(const WeightView& weights, const EmojiWorld& world, const ConfigReader& vision,
                           int64_t place_step)
    : labels_(world, vision.required<int64_t>("patch_size")),
      classify_(weights / "classify", vision.required<int64_t>("hidden_size"), labels_.background() + 1, true),
      place_(weights / "place", vision.required<int64_t>("hidden_size"), 4, true) {
  if (place_step == 0) return;
  steps_.emplace(weights / "step", vision.required<int64_t>("hidden_size"), vision.required<int64_t>("image_size"),
                 place_step);
}

Objective::Loss DenseTeacher::loss(const at::Tensor& states, const std::vector<Scene>& scenes) const {
  PatchLabels::Targets t = labels_(scenes);
  at::Tensor rows = states.reshape({-1, states.size(-1)});
  at::Tensor scores = classify_(rows).to(at::kFloat);
  at::Tensor covered = (t.classes != labels_.background()).nonzero().squeeze(1);
  // Most patches are background; they count a quarter.
  at::Tensor weights = at::ones({scores.size(1)});
  weights[labels_.background()] = 0.25;
  at::Tensor naming = at::cross_entropy_loss(scores, t.classes, weights);
  at::Tensor boxes = place_(rows.index_select(0, covered)).to(at::kFloat), wanted = t.boxes.index_select(0, covered);
  at::Tensor distance = at::l1_loss(boxes, wanted), overlap = generalised_iou_loss(boxes, wanted).mean();
  at::Tensor total = naming + 2.5 * distance + overlap;
  at::Tensor right = (scores.index_select(0, covered).argmax(1) == t.classes.index_select(0, covered));
  Objective::Loss result{total,
                         {{"patch_naming", naming.item<double>()},
                          {"patch_right", right.to(at::kFloat).mean().item<double>()},
                          {"box_distance", distance.item<double>()},
                          {"box_overlap_loss", overlap.item<double>()}}};
  if (!steps_) return result;
  Objective::Loss steps = steps_->loss(rows.index_select(0, covered), wanted);
  result.total = result.total + steps.total;
  result.parts.insert(result.parts.end(), steps.parts.begin(), steps.parts.end());
  return result;
}

PlaceSteps::PlaceSteps(const WeightView& weights, int64_t width, int64_t side, int64_t step)
    : side_(side), step_(step), classify_(weights, width, 4 * (side / step + 1), true) {}

Objective::Loss PlaceSteps::loss(const at::Tensor& states, const at::Tensor& boxes) const {
  at::Tensor scores = classify_(states).to(at::kFloat).view({4 * states.size(0), -1});
  at::Tensor steps = (boxes * side_).round().to(at::kLong).floor_divide(step_).view(-1);
  at::Tensor loss = at::cross_entropy_loss(scores, steps);
  at::Tensor right = (scores.argmax(1) == steps).to(at::kFloat).mean();
  return {loss, {{"place_steps", loss.item<double>()}, {"place_steps_right", right.item<double>()}}};
}

std::unique_ptr<Objective> make_dense_objective(const ObjectiveContext& context) {
  return std::make_unique<DenseObjective>(context, context.model_config);
}

}  // namespace nuri
