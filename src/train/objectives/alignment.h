#pragma once

#include <memory>

#include "train/objective.h"

namespace nuri {

// Objective "alignment": brings what a multimodal model makes of each patch near to its decoder's own embedding of
// the name of what the patch shows, among all names, in English and in Korean, and keeps the place of its box in linear
// reach (see PlaceSteps). So a decoder that has learned to find a name in a text finds it in a picture. Costs no pass
// through the decoder.
//
// Options: data (a table, see SceneSource), place_step (pixels).
std::unique_ptr<Objective> make_alignment_objective(const ObjectiveContext& context);

}  // namespace nuri
