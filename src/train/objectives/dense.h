#pragma once

#include <map>

#include "nn/layers.h"
#include "train/objective.h"
#include "train/objectives/scene_batch.h"

namespace nuri {

// Teaches an encoder where things are: every patch names the object or the written word that covers it, and gives
// its box. Plain linear heads, so that a decoder will find both as easily in the patch states.
class DenseTeacher {
 public:
  DenseTeacher(const WeightView& weights, const EmojiWorld& world, int64_t width, int64_t patch);

  // states [B, P, D] of the scenes' pictures.
  Objective::Loss loss(const at::Tensor& states, const std::vector<Scene>& scenes) const;

 private:
  struct Targets {
    at::Tensor classes;  // [B * P] int64
    at::Tensor boxes;    // [B * P, 4] in shares of the side
  };
  Targets targets(const std::vector<Scene>& scenes) const;
  void fill(const Scene& scene, int64_t* classes, float* boxes) const;

  const EmojiWorld& world_;
  int64_t patch_, background_;
  std::map<std::string, int64_t> word_class_;
  nn::Linear classify_, place_;
};

// Objective "dense": a picture encoder (CLIPVisionModel, SiglipVisionModel) and the teacher alone.
std::unique_ptr<Objective> make_dense_objective(const ObjectiveContext& context);

}  // namespace nuri
