#include "tasks/ground.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/report.h"
#include "media/draw.h"
#include "media/video_file.h"
#include "tasks/tracks.h"

namespace nuri {
namespace {

VideoLimits limits_of(const VideoOptions& options) {
  return {options.max_frame_pixels, options.max_seconds, options.max_frames};
}

FrameChoice choice_of(const VideoOptions& options) {
  FrameChoice choice;
  if (options.frames)
    choice.count = options.frames;
  else
    choice.per_second = options.frames_per_second.value_or(2.0);
  return choice;
}

// The answer about the whole, of a model that watches videos; nothing where the model cannot hold it.
std::optional<Answer> watched(Assistant& assistant, const std::string& question, const std::string& video,
                              const VideoOptions& options, const GenerationOptions& generation) {
  Conversation conversation(assistant);
  conversation.add_video(video, options);
  try {
    return conversation.say(question, generation);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage && error.kind() != ErrorKind::resource) throw;
    warn(fmt::format("the whole video cannot be asked about, only its frames: {}", error.what()));
    return {};
  }
}

std::vector<DrawnBox> drawn_at(const GroundedVideo& found, double seconds, const Image& frame) {
  constexpr double kInstant = 0.5;  // so long is a single time shown
  std::vector<DrawnBox> drawn;
  for (const TrackedBox& seen : boxes_at(found.frames, seconds))
    drawn.push_back(
        {seen.box.label, seen.box.x1, seen.box.y1, seen.box.x2, seen.box.y2, static_cast<size_t>(seen.track)});
  for (size_t i = 0; i < found.moments.size(); ++i) {
    const auto& [label, start, end] = found.moments[i];
    if (seconds < start || seconds > std::max(end, start + kInstant)) continue;
    std::string name = label.empty() ? fmt::format("{:.2f} - {:.2f} s", start, end) : label;
    drawn.push_back({name, 0, 0, static_cast<double>(frame.width), static_cast<double>(frame.height), i});
  }
  return drawn;
}

}  // namespace

GroundedVideo ground_video(Assistant& assistant, const std::string& question, const std::string& video,
                           const VideoOptions& options, const GenerationOptions& generation) {
  GroundedVideo found;
  if (assistant.watches_videos())
    if (auto answer = watched(assistant, question, video, options, generation))
      found.text = std::move(answer->text), found.moments = std::move(answer->moments);
  if (!found.moments.empty()) return found;
  Video chosen = VideoFile(video, limits_of(options)).choose(choice_of(options));
  Tracker tracker;
  for (size_t i = 0; i < chosen.frames.size(); ++i) {
    Conversation conversation(assistant);
    conversation.add_image(chosen.frames[i], video);
    Answer answer = conversation.say(question, generation);
    found.frames.push_back({chosen.seconds[i], answer.text, tracker.follow(answer.boxes), std::move(answer.points)});
    report_progress("frames", static_cast<int64_t>(i + 1), static_cast<int64_t>(chosen.frames.size()));
  }
  return found;
}

void draw_video(const std::string& video, const GroundedVideo& found, const std::string& output,
                const VideoOptions& options) {
  VideoFile file(video, limits_of(options));
  constexpr double kUsual = 25, kFastest = 240;  // a file may tell any rate, and each frame is drawn
  double rate = file.info().rate > 0 ? std::min(file.info().rate, kFastest) : kUsual;
  TextRenderer text = TextRenderer::with_system_fonts();
  std::optional<VideoWriter> writer;
  int64_t count = std::max<int64_t>(std::llround(file.info().seconds * rate), 1);
  for (int64_t i = 0; i < count; ++i) {
    check_interrupt();
    auto frame = file.frame_at(static_cast<double>(i) / rate);
    if (!frame) break;
    Image picture = draw_boxes(frame->image, drawn_at(found, frame->seconds, frame->image), text);
    if (!writer) writer.emplace(output, picture.width, picture.height, rate);
    writer->add(picture);
    report_progress("drawing", i + 1, count);
  }
  if (writer) writer->finish();
}

}  // namespace nuri
