#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nuri {

// Which model, and where and how it runs.
struct ModelOptions {
  std::string model = {};          // a folder, or the name of a bundled model
  std::string device = "cpu";      // cpu, cuda
  std::string dtype = {};          // float32, bfloat16, float16; empty: as in the file
  std::string weights = "native";  // native, int8, int4: the matrices of products rounded while loading
  int threads = 0;                 // 0: all cores
  std::string cache = "native";    // native, int8: how keys and values are kept while text is generated
  int64_t context = 0;             // positions of a conversation that room is made for; 0: as many as the model was
                                   // made for, or as half of the free memory holds
};

// How the next token is chosen. What is not given comes from the model's generation_config.json.
struct GenerationOptions {
  bool greedy = false;
  std::optional<double> temperature, top_p, min_p;
  std::optional<int64_t> top_k;
  std::optional<double> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> max_tokens;
  std::vector<std::string> stop;
  uint64_t seed = 0;
};

// A box that an answer names, in pixels of the picture as the user gave it; x2 and y2 are the first outside.
struct PictureBox {
  std::string label;
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};

// A point, likewise.
struct PicturePoint {
  std::string label;
  double x = 0, y = 0;
};

// Which frames of a video are looked at (those that the model asks for where neither is given), and bounds on videos
// from outside.
struct VideoOptions {
  std::optional<double> frames_per_second;
  std::optional<int64_t> frames;
  double max_seconds = 6 * 3600;
  int64_t max_frames = 768;
  int64_t max_frame_pixels = 33'177'600;  // 7680 x 4320
};

// Bounds on pictures from outside.
struct PictureLimits {
  int64_t max_pixels = 100'000'000;
};

}  // namespace nuri
