#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "media/video.h"

namespace nuri {

// What a video may ask of this machine.
struct VideoLimits {
  int64_t max_pixels = 33'177'600;  // of a frame: 7680 x 4320
  double max_seconds = 6 * 3600;
  int64_t max_frames = 768;  // that are looked at
};

// A video on disk, read through FFmpeg (libnuri_video.so). Frames are upright RGB.
class VideoFile {
 public:
  struct Info {
    int64_t width, height;
    double seconds;
    double rate;  // frames a second; 0: the file does not tell
  };
  struct Frame {
    Image image;
    double seconds;  // when it begins, from the first frame
  };

  // Throws Error(usage) for a missing file, Error(format) for what is no video, is broken, or holds sound alone,
  // Error(resource) beyond the limits, Error(unsupported) where Nuri was built without FFmpeg.
  explicit VideoFile(const std::filesystem::path& path, const VideoLimits& limits = {});
  ~VideoFile();
  VideoFile(VideoFile&&) noexcept;
  VideoFile& operator=(VideoFile&&) noexcept;

  const Info& info() const { return info_; }
  // The frame shown at that time; nothing behind the end. In order of time it is fast.
  std::optional<Frame> frame_at(double seconds);
  // Throws Error(resource) for more frames than the limits allow, Error(usage) for a choice that is none, Error(format)
  // where the file does not tell how long it is.
  Video choose(const FrameChoice& choice);

 private:
  // Those of a file of so many frames.
  int64_t count_of(const FrameChoice& choice, int64_t frames) const;

  std::filesystem::path path_;
  VideoLimits limits_;
  Info info_{};
  std::unique_ptr<void, void (*)(void*)> video_;
};

// An MP4 file being written (H.264, where FFmpeg has it). It stands under its name when finish() returns, not before.
class VideoWriter {
 public:
  // Throws Error(resource) where the file cannot be written.
  VideoWriter(const std::filesystem::path& path, int64_t width, int64_t height, double frames_per_second);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;

  // RGB, of the size that was given.
  void add(const Image& frame);
  void finish();

 private:
  std::filesystem::path path_, part_;
  int64_t width_, height_;
  void* writer_ = nullptr;
};

}  // namespace nuri
