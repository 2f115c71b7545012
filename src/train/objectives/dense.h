#pragma once

#include <map>
#include <optional>

#include "nn/layers.h"
#include "train/objective.h"
#include "train/objectives/scene_batch.h"

namespace nuri {

// Teaches an encoder where things are: every patch names the object or the written word that covers it, and gives
// its box. Plain linear heads, so that a decoder will find both as easily in the patch states.
//
// With a `place_step` (pixels; 0: none) the patch also tells each side of the box as one of the steps that it can lie
// in. A decoder writes digits: the step that a side lies in is a linear map away from them, its coordinate is not.
class DenseTeacher {
 public:
  DenseTeacher(const WeightView& weights, const EmojiWorld& world, const ConfigReader& vision, int64_t place_step);

  // states [B, P, D] of the scenes' pictures.
  Objective::Loss loss(const at::Tensor& states, const std::vector<Scene>& scenes) const;

 private:
  struct Targets {
    at::Tensor classes;  // [B * P] int64
    at::Tensor boxes;    // [B * P, 4] in shares of the side
  };
  Targets targets(const std::vector<Scene>& scenes) const;
  void fill(const Scene& scene, int64_t* classes, float* boxes) const;
  Objective::Loss step_loss(const at::Tensor& states, const at::Tensor& boxes) const;

  const EmojiWorld& world_;
  std::map<std::string, int64_t> word_class_;
  int64_t background_, side_, patch_, place_step_;
  nn::Linear classify_, place_;
  std::optional<nn::Linear> step_;
};

// Objective "dense": a picture encoder (CLIPVisionModel, SiglipVisionModel) and the teacher alone. Options: data (a
// table, see SceneSource), place_step.
std::unique_ptr<Objective> make_dense_objective(const ObjectiveContext& context);

}  // namespace nuri
