#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "media/image.h"

namespace nuri {

// Which frames of a video are looked at, spread evenly over the whole: so many a second, within bounds, or so many in
// all.
struct FrameChoice {
  std::optional<double> per_second;
  std::optional<int64_t> count;
  int64_t least = 1, most = 768;  // of those chosen by their number a second
  int64_t multiple = 1;           // their number is cut down to a multiple of this
};

// Frames of a video that were chosen to be looked at, all of one size, in order.
struct Video {
  std::vector<Image> frames;
  std::vector<double> seconds;  // when each is shown; as many as frames, or none where that is not known
  // Chosen frames a second: their number by the length of what they were chosen from; 0: as `seconds` tell.
  double frames_per_second = 0;

  // Without any time, the 24 that the reference assumes.
  double sampled_rate() const {
    if (frames_per_second > 0) return frames_per_second;
    if (seconds.size() < 2 || !(seconds.back() > seconds.front())) return 24;
    return static_cast<double>(seconds.size() - 1) / (seconds.back() - seconds.front());
  }
};

}  // namespace nuri
