#include "media/video_file.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "media/video_module/interface.h"

namespace nuri {
namespace {

// The library lies beside the one (or the program) that this function is in; elsewhere the loader looks for it.
const NuriVideoApi& api() {
  static const NuriVideoApi* const found = [] {
    Dl_info self{};
    void* library = nullptr;
    if (::dladdr(reinterpret_cast<void*>(&api), &self) != 0 && self.dli_fname != nullptr) {
      auto beside = std::filesystem::path(self.dli_fname).parent_path() / "libnuri_video.so";
      library = ::dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) library = ::dlopen("libnuri_video.so", RTLD_NOW | RTLD_LOCAL);
    auto* entry = library == nullptr ? nullptr : reinterpret_cast<NuriVideoEntry>(::dlsym(library, "nuri_video"));
    const NuriVideoApi* api = entry == nullptr ? nullptr : entry();
    return api != nullptr && api->version == NURI_VIDEO_VERSION ? api : nullptr;
  }();
  if (found == nullptr)
    throw Error(
        ErrorKind::unsupported,
        "found a video, but no libnuri_video.so of this version beside libnuri.so: Nuri was built without FFmpeg");
  return *found;
}

[[noreturn]] void fail(NuriVideoResult result, const std::filesystem::path& path, const char* message) {
  switch (result) {
    case NURI_VIDEO_UNREADABLE:
      throw Error(ErrorKind::usage, fmt::format("{}: {}", path.string(), message));
    case NURI_VIDEO_NO_PICTURES:
      throw Error(ErrorKind::format, fmt::format("{}: found {}, expected a video", path.string(), message));
    default:
      throw Error(ErrorKind::format, fmt::format("{}: found {}, expected a whole video", path.string(), message));
  }
}

void* open(const std::filesystem::path& path, int64_t max_pixels) {
  char message[NURI_VIDEO_MESSAGE] = "";
  void* video = nullptr;
  NuriVideoResult result = api().open(path.c_str(), max_pixels, &video, message);
  if (result == NURI_VIDEO_TOO_LARGE)
    throw Error(ErrorKind::resource,
                fmt::format("{}: found {}, expected at most {} pixels", path.string(), message, max_pixels));
  if (result != NURI_VIDEO_FINE) fail(result, path, message);
  return video;
}

}  // namespace

VideoFile::VideoFile(const std::filesystem::path& path, const VideoLimits& limits)
    : path_(path), limits_(limits), video_(open(path, limits.max_pixels), [](void* video) { api().close(video); }) {
  NuriVideoInfo told{};
  api().info(video_.get(), &told);
  info_ = {told.width, told.height, told.seconds, told.rate};
  if (info_.seconds > limits.max_seconds)
    throw Error(ErrorKind::resource, fmt::format("{}: found a video of {:.0f} s, expected at most {:.0f} s",
                                                 path.string(), info_.seconds, limits.max_seconds));
}

VideoFile::~VideoFile() = default;
VideoFile::VideoFile(VideoFile&&) noexcept = default;
VideoFile& VideoFile::operator=(VideoFile&&) noexcept = default;

std::optional<VideoFile::Frame> VideoFile::frame_at(double seconds) {
  Frame frame{Image(info_.width, info_.height, 3), 0};
  char message[NURI_VIDEO_MESSAGE] = "";
  NuriVideoResult result = api().frame_at(video_.get(), seconds, frame.image.pixels.data(), &frame.seconds, message);
  if (result == NURI_VIDEO_END) return {};
  if (result != NURI_VIDEO_FINE) fail(result, path_, message);
  return frame;
}

int64_t VideoFile::count_of(const FrameChoice& choice, int64_t frames) const {
  if (choice.per_second.has_value() == choice.count.has_value())
    throw Error(ErrorKind::usage, "frames of a video: expected either a number a second or a number in all");
  if (choice.count && *choice.count < 1)
    throw Error(ErrorKind::usage, fmt::format("frames of a video: found {}, expected at least 1", *choice.count));
  if (choice.per_second && !(*choice.per_second > 0))
    throw Error(ErrorKind::usage, fmt::format("frames a second: found {}, expected more than 0", *choice.per_second));
  int64_t wanted = choice.count.value_or(0);
  if (choice.per_second) {
    double asked = std::min(info_.seconds * *choice.per_second, static_cast<double>(choice.most));
    wanted = std::max(static_cast<int64_t>(asked), choice.least);
  }
  wanted = std::min(wanted, frames);
  wanted = std::max(wanted / choice.multiple * choice.multiple, std::min(choice.multiple, frames));
  if (wanted > limits_.max_frames)
    throw Error(ErrorKind::resource, fmt::format("{}: found {} frames to look at, expected at most {}", path_.string(),
                                                 wanted, limits_.max_frames));
  return wanted;
}

// As the reference does (Qwen2VLVideoProcessor.sample_frames): frame i of n is the (i * all / n)-th.
Video VideoFile::choose(const FrameChoice& choice) {
  constexpr double kUsualRate = 25;
  if (!(info_.seconds > 0))
    throw Error(ErrorKind::format,
                fmt::format("{}: found no length, expected a video that tells how long it is", path_.string()));
  double rate = info_.rate > 0 ? info_.rate : kUsualRate;
  int64_t all = std::max<int64_t>(std::llround(info_.seconds * rate), 1), count = count_of(choice, all);
  Video video;
  for (int64_t i = 0; i < count; ++i) {
    auto frame = frame_at(static_cast<double>(i * all / count) / rate);
    if (!frame) break;
    video.frames.push_back(std::move(frame->image));
    video.seconds.push_back(frame->seconds);
  }
  if (video.frames.empty())
    throw Error(ErrorKind::format, fmt::format("{}: found no frame, expected at least one", path_.string()));
  video.frames_per_second = static_cast<double>(count) / static_cast<double>(all) * rate;
  return video;
}

VideoWriter::VideoWriter(const std::filesystem::path& path, int64_t width, int64_t height, double frames_per_second)
    : path_(path), part_(path.string() + ".part"), width_(width), height_(height) {
  constexpr int64_t kLargestSide = 16384;
  if (width < 1 || height < 1 || std::max(width, height) > kLargestSide)
    throw Error(ErrorKind::resource, fmt::format("{}: found frames of {}x{}, expected sides of 1 to {}", path.string(),
                                                 width, height, kLargestSide));
  char message[NURI_VIDEO_MESSAGE] = "";
  NuriVideoResult result = api().create(part_.c_str(), static_cast<int32_t>(width), static_cast<int32_t>(height),
                                        frames_per_second, &writer_, message);
  if (result != NURI_VIDEO_FINE) throw Error(ErrorKind::resource, fmt::format("{}: {}", path.string(), message));
}

VideoWriter::~VideoWriter() {
  if (writer_ == nullptr) return;
  char message[NURI_VIDEO_MESSAGE] = "";
  api().finish(writer_, 0, message);
  std::error_code ignored;
  std::filesystem::remove(part_, ignored);
}

void VideoWriter::add(const Image& frame) {
  if (frame.width != width_ || frame.height != height_ || frame.channels != 3)
    throw Error(ErrorKind::internal, "a video's frames have one size");
  char message[NURI_VIDEO_MESSAGE] = "";
  if (api().add_frame(writer_, frame.pixels.data(), message) != NURI_VIDEO_FINE)
    throw Error(ErrorKind::resource, fmt::format("{}: {}", path_.string(), message));
}

void VideoWriter::finish() {
  char message[NURI_VIDEO_MESSAGE] = "";
  NuriVideoResult result = api().finish(std::exchange(writer_, nullptr), 1, message);
  std::error_code failed;
  if (result == NURI_VIDEO_FINE) std::filesystem::rename(part_, path_, failed);
  if (result == NURI_VIDEO_FINE && !failed) return;
  std::string reason = failed ? failed.message() : message;
  std::filesystem::remove(part_, failed);
  throw Error(ErrorKind::resource, fmt::format("{}: {}", path_.string(), reason));
}

}  // namespace nuri
