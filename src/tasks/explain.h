#pragma once

#include <string>
#include <vector>

#include "ask.h"

namespace nuri {

// A part of a picture and how much an answer rests on it: by how much the natural logarithm of the answer's probability
// falls when that part is hidden. Below zero: without the part the answer would be likelier.
struct ExplainedPart {
  int64_t picture = 0;                    // which of the conversation's, from 0
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // pixels of the picture as the user gave it
  double strength = 0;
};

struct Explanation {
  double log_likelihood = 0;         // of the answer with all pictures as they are, over all of its tokens
  int64_t measurements = 0;          // how often it was measured
  std::vector<ExplainedPart> cells;  // cover the pictures: the mean over larger and smaller parts that hide them
  // What stands out, the strongest first, each hidden as a whole: connected cells of at least half of the strength of
  // the strongest one. None where hiding costs nothing.
  std::vector<ExplainedPart> regions;
};

struct ExplainOptions {
  int64_t most_measurements = 128;  // how often the model reads the prompt and the answer again
};

// So many at least are needed to look at all of so many pictures.
int64_t fewest_measurements(size_t pictures);

// What the conversation's last answer rests on in its pictures (not in its videos). Throws Error(usage) where there was
// no answer or no picture, or for too few measurements.
Explanation explain(Conversation& conversation, const ExplainOptions& options = {});

// Writes the pictures (files, in order) side by side under a heat map of the cells, with the regions outlined and a
// legend (PNG).
void draw_explanation(const std::vector<std::string>& pictures, const Explanation& explanation,
                      const std::string& output, const PictureLimits& limits = {});

}  // namespace nuri
