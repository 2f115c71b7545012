#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// A stretch of a video that a model's answer names.
struct Moment {
  enum class Unit {
    seconds,  // of the video
    frames,   // of those that the model was shown, as it counts them: the first is 1
  };
  Unit unit = Unit::seconds;
  std::string label;
  double start = 0, end = 0;  // the same where one time is named
};

// The moments in an answer, in the order in which they stand, as Qwen2-VL, Qwen2.5-VL and InternVL are asked for them:
//   JSON      {"start_time": "00:03.20", "end_time": "00:05.00", "description": "a man jumps"}, also with "start" and
//             "end", "timestamp" or "time" (one, [3.2, 5.0] or "0:03 - 0:05"), "start_frame" and "end_frame"; times are
//             mm:ss, mm:ss.ff, hh:mm:ss or seconds; the label may be called "label", "event", "caption", "sentence",
//             ...
//   text      from 3.2 to 5.0 seconds; 3.2s - 5s; between 3 and 5 seconds; 0:03 - 0:05; at 0:03; at 4 seconds;
//             from frame 3 to frame 7; 3초부터 5초까지; <answer>3.20-5.00</answer>
// The label of a text is what else stands on the line where the moment begins or ends it. A number alone is no moment,
// nor is a length ("it lasts 10 seconds"). Malformed entries (crossed, not finite, beyond 10^7) are left out. Never
// throws on bad text; the work is linear in the text's length.
std::vector<Moment> parse_moments(std::string_view text);

}  // namespace nuri
