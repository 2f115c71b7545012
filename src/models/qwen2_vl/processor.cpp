#include "models/qwen2_vl/processor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/qwen2_vl/config.h"
#include "models/qwen2_vl/picture_processor.h"

namespace nuri {
namespace {

using Medium = Qwen2VlPictures::Medium;

class Qwen2VlProcessor : public Processor {
 public:
  Qwen2VlProcessor(const std::filesystem::path& folder, const Qwen2VlConfig& config)
      : Processor(Tokenizer::from_folder(folder)),
        pictures_(Qwen2VlPictures::from_folder(folder, Medium::pictures)),
        videos_(Qwen2VlPictures::from_folder(folder, Medium::videos)),
        picture_token_(token("<|image_pad|>", config.image_token)),
        video_token_(token("<|video_pad|>", config.video_token)),
        times_(config.vision.tokens_per_second > 0) {
    if (picture_token_.empty())
      throw Error(ErrorKind::format, fmt::format("{}: tokenizer.json has no token {}, expected the image token there",
                                                 folder.string(), config.image_token));
  }

  std::string placeholder() const override { return picture_token_; }
  std::string video_placeholder() const override { return video_token_; }
  const PictureProcessor& pictures() const override { return pictures_; }
  FrameChoice frames() const override { return videos_.frames(); }
  bool adds_special_to_chat() const override { return true; }

 protected:
  std::string text_of_picture(const PreparedPictures& pictures, size_t index) const override {
    return repeated(picture_token_, pictures_.tokens_of(pictures.arrays, index));
  }
  std::string text_of_video(const std::vector<NamedArray>& videos, size_t index) const override {
    return repeated(video_token_, videos_.tokens_of(videos, index));
  }

  std::vector<NamedArray> prepare_videos(std::span<const Video> videos) const override {
    std::vector<NamedArray> arrays = videos_.prepare_videos(videos);
    if (!times_) return arrays;
    std::vector<float> seconds;
    for (const Video& video : videos)
      seconds.push_back(static_cast<float>(static_cast<double>(videos_.temporal_patch()) / video.sampled_rate()));
    arrays.push_back({"second_per_grid_ts", {static_cast<int64_t>(videos.size())}, std::move(seconds)});
    return arrays;
  }

  void complete(PreparedPrompt& prompt) const override {
    auto picture = tokenizer().id_of(picture_token_), video = tokenizer().id_of(video_token_);
    std::vector<int64_t> types;
    for (int32_t id : prompt.ids) types.push_back(id == picture ? 1 : id == video ? 2 : 0);
    int64_t count = static_cast<int64_t>(types.size());
    prompt.pictures.arrays.push_back({"mm_token_type_ids", {1, count}, std::move(types)});
  }

 private:
  // The reference looks for the name; a tokenizer of another make has the configuration's id.
  std::string token(const char* name, int64_t id) const {
    return tokenizer().id_of(name) ? name : tokenizer().token_of(static_cast<int32_t>(id));
  }

  Qwen2VlPictures pictures_, videos_;
  std::string picture_token_, video_token_;
  bool times_;
};

}  // namespace

std::unique_ptr<Processor> make_qwen2_vl_processor(const std::filesystem::path& folder, const ConfigReader& config) {
  return std::make_unique<Qwen2VlProcessor>(folder, parse_qwen2_vl_config(config));
}

}  // namespace nuri
