#pragma once

#include <map>
#include <optional>

#include "nn/layers.h"
#include "train/objective.h"
#include "train/objectives/scene_batch.h"

namespace nuri {

// What each patch of a scene shows.
class PatchLabels {
 public:
  PatchLabels(const EmojiWorld& world, int64_t patch);

  struct Targets {
    at::Tensor classes;  // [B * P] int64
    at::Tensor boxes;    // [B * P, 4] in shares of the side
  };
  Targets operator()(const std::vector<Scene>& scenes) const;

  // Classes: the world's objects, then the words of both languages, then the background.
  int64_t background() const { return world_.size() + static_cast<int64_t>(word_class_.size()); }
  const std::map<std::string, int64_t>& words() const { return word_class_; }

 private:
  void fill(const Scene& scene, int64_t* classes, float* boxes) const;

  const EmojiWorld& world_;
  int64_t patch_;
  std::map<std::string, int64_t> word_class_;
};

// A linear head that classifies in which step of `step` pixels each side of a patch's box lies, in pictures of `side`
// pixels: what a decoder needs to say the side as a number.
class PlaceSteps {
 public:
  PlaceSteps(const WeightView& weights, int64_t width, int64_t side, int64_t step);

  // states [N, width] and boxes [N, 4] (in shares of the side) of the patches that something covers.
  Objective::Loss loss(const at::Tensor& states, const at::Tensor& boxes) const;

 private:
  int64_t side_, step_;
  nn::Linear classify_;
};

// Teaches an encoder where things are: every patch names the object or the written word that covers it, and gives
// its box. Plain linear heads, so that a decoder will find both as easily in the patch states.
//
// With a `place_step` (pixels; 0: none) the patch also tells each side of the box as one of the steps that it can lie
// in. A decoder writes one of many numbers: the step that a side lies in is a linear map away from it, its coordinate
// is not.
class DenseTeacher {
 public:
  DenseTeacher(const WeightView& weights, const EmojiWorld& world, const ConfigReader& vision, int64_t place_step);

  // states [B, P, D] of the scenes' pictures.
  Objective::Loss loss(const at::Tensor& states, const std::vector<Scene>& scenes) const;

 private:
  PatchLabels labels_;
  nn::Linear classify_, place_;
  std::optional<PlaceSteps> steps_;
};

// Objective "dense": a picture encoder (CLIPVisionModel, SiglipVisionModel) and the teacher alone. Options: data (a
// table, see SceneSource), place_step.
std::unique_ptr<Objective> make_dense_objective(const ObjectiveContext& context);

}  // namespace nuri
