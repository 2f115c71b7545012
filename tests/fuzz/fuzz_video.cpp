#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <string>

#include "fuzz.h"
#include "media/video_file.h"

namespace {

// A file in memory, under a name that any library can open.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : file_(::memfd_create("video", MFD_CLOEXEC)) {
    if (file_ < 0 || ::write(file_, data, size) != static_cast<ssize_t>(size)) nuri::fuzz::fail("found no memory");
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

void check(const nuri::Image& frame, const nuri::VideoFile::Info& info) {
  if (frame.width != info.width || frame.height != info.height ||
      frame.pixels.size() != static_cast<size_t>(3 * info.width * info.height))
    nuri::fuzz::fail("found a frame of another size than the video's");
}

}  // namespace

// A video in any container; of what is accepted, sizes, times and pixels must agree.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  VideoLimits limits;
  limits.max_pixels = 1 << 16;  // so that an honest large video costs no time
  limits.max_seconds = 60;
  limits.max_frames = 4;
  MemoryFile file(data, size);
  fuzz::parse_or_error([&] {
    VideoFile video(file.path(), limits);
    const VideoFile::Info& info = video.info();
    if (info.width < 1 || info.height < 1 || info.width * info.height > limits.max_pixels)
      fuzz::fail("found a video beyond the limits");
    if (!(info.seconds >= 0 && info.seconds <= limits.max_seconds) || !(info.rate >= 0))
      fuzz::fail("found a video without a length");
    for (double seconds : {0.0, 0.5, 7.0, 0.04})  // back too
      if (auto frame = video.frame_at(seconds)) check(frame->image, info);
    Video chosen = video.choose({.count = 3});
    if (chosen.frames.empty() || chosen.frames.size() > 3 || chosen.seconds.size() != chosen.frames.size())
      fuzz::fail("found another number of frames");
    for (const Image& frame : chosen.frames) check(frame, info);
  });
  return 0;
}
