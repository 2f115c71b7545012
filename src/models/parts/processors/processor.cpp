#include "models/parts/processors/processor.h"

#include <fmt/format.h>

#include <functional>

#include "base/error.h"

namespace nuri {
namespace {

class TextProcessor : public Processor {
 public:
  explicit TextProcessor(const std::filesystem::path& folder) : Processor(Tokenizer::from_folder(folder)) {}
};

// What stands in a text for media of one kind, and what each of them becomes.
struct Placeholder {
  std::string token, kind;
  size_t count;
  std::function<std::string(size_t)> text_of;
  size_t found = 0, at = 0;  // `at`: where in the text the next one is

  void look(std::string_view text, size_t from) {
    if (at < from || from == 0) at = token.empty() ? std::string_view::npos : text.find(token, from);
  }
};

std::string expand(std::string_view text, Placeholder pictures, Placeholder videos) {
  std::string expanded;
  size_t done = 0;
  for (;;) {
    pictures.look(text, done), videos.look(text, done);
    Placeholder& next = pictures.at <= videos.at ? pictures : videos;
    if (next.at == std::string_view::npos) break;
    expanded += text.substr(done, next.at - done);
    if (next.found < next.count) expanded += next.text_of(next.found);
    ++next.found;
    done = next.at + next.token.size();
  }
  for (const Placeholder* p : {&pictures, &videos})
    if (!p->token.empty() && p->found != p->count)
      throw Error(ErrorKind::usage, fmt::format("the prompt: found {} {} for {} {}, expected as many", p->found,
                                                p->token, p->count, p->kind));
  return expanded + std::string(text.substr(done));
}

}  // namespace

PreparedPrompt Processor::operator()(std::string_view text, std::span<const Image> images, bool add_special) const {
  return (*this)(text, images, {}, add_special);
}

PreparedPrompt Processor::operator()(std::string_view text, std::span<const Image> images,
                                     std::span<const Video> videos, bool add_special) const {
  PreparedPrompt prompt;
  if (!images.empty()) prompt.pictures = pictures().prepare(images);
  if (!videos.empty()) prompt.videos = prepare_videos(videos);
  Placeholder picture{placeholder(), "pictures", images.size(),
                      [&](size_t i) { return text_of_picture(prompt.pictures, i); }};
  Placeholder video{video_placeholder(), "videos", videos.size(),
                    [&](size_t i) { return text_of_video(prompt.videos, i); }};
  prompt.ids = tokenizer_.encode(expand(prepared_text(text), picture, video), add_special);
  complete(prompt);
  return prompt;
}

std::vector<NamedArray> Processor::prepare_videos(std::span<const Video>) const {
  throw Error(ErrorKind::usage, "found a video, but this model watches none");
}

std::string repeated(std::string_view text, int64_t count) {
  std::string all;
  all.reserve(text.size() * static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) all += text;
  return all;
}

const PictureProcessor& Processor::pictures() const {
  throw Error(ErrorKind::usage, "found a picture, but this model reads text alone");
}

std::unique_ptr<Processor> make_text_processor(const std::filesystem::path& folder, const ConfigReader&) {
  return std::make_unique<TextProcessor>(folder);
}

}  // namespace nuri
