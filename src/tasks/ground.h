#pragma once

#include <string>
#include <vector>

#include "ask.h"

namespace nuri {

// A box of one thing in one frame.
struct TrackedBox {
  int64_t track = 0;  // the same for the same thing in all frames
  PictureBox box;     // in pixels of the video as the user gave it
};

struct GroundedFrame {
  double seconds = 0;  // of the file
  std::string text;    // the answer about this frame
  std::vector<TrackedBox> boxes;
  std::vector<PicturePoint> points;
};

struct GroundedVideo {
  std::string text;                  // the answer about the whole video, of a model that watches videos
  std::vector<VideoMoment> moments;  // that it names
  std::vector<GroundedFrame> frames;
};

// Asks the question about the whole video, of a model that watches videos. Where the answer names no moment, or the
// model sees pictures alone: asks it about each chosen frame by itself, and follows what is found from frame to frame:
// a box goes on with the box of the same label that it overlaps most, or else lies nearest to.
GroundedVideo ground_video(Assistant& assistant, const std::string& question, const std::string& video,
                           const VideoOptions& options = {}, const GenerationOptions& generation = {});

// Writes the video (MP4, without sound) with each thing's box drawn on all of its frames, in one colour and between two
// frames that were asked about on the way from one place to the other, and with a frame around the picture while a
// moment lasts.
void draw_video(const std::string& video, const GroundedVideo& found, const std::string& output,
                const VideoOptions& options = {});

}  // namespace nuri
