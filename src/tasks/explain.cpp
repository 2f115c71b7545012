#include "tasks/explain.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/report.h"
#include "generate/likelihood.h"
#include "models/parts/inputs.h"
#include "tasks/conversation.h"
#include "tasks/hiding.h"

namespace nuri {
namespace {

constexpr size_t kTogether = 8;  // prompts that the engine reads at once

using Mean = std::array<uint8_t, 3>;

Mean mean_color(const Image& image) {
  std::array<uint64_t, 3> sums{};
  for (size_t i = 0; i < image.pixels.size(); ++i) sums[i % 3] += image.pixels[i];
  uint64_t count = image.pixels.size() / 3;
  Mean mean;
  for (size_t c = 0; c < 3; ++c) mean[c] = static_cast<uint8_t>((sums[c] + count / 2) / count);
  return mean;
}

// Hides parts of pictures, at most one of each, as long as it lives.
class Curtain {
 public:
  explicit Curtain(std::vector<Image>& pictures) : pictures_(pictures) {}
  ~Curtain() {
    for (auto& [picture, image] : kept_) std::swap(pictures_[picture], image);
  }
  Curtain(const Curtain&) = delete;

  void hide(const HiddenPart& part, const Mean& color) {
    Image& image = pictures_[part.picture];
    kept_.emplace_back(part.picture, image);
    for (int64_t y = part.y1; y < part.y2; ++y)
      for (uint8_t* pixel = image.row(y) + 3 * part.x1; pixel < image.row(y) + 3 * part.x2; pixel += 3)
        std::copy(color.begin(), color.end(), pixel);
  }

 private:
  std::vector<Image>& pictures_;
  std::vector<std::pair<size_t, Image>> kept_;
};

HiddenPart whole(const Image& image, size_t picture) { return {picture, 0, 0, image.width, image.height}; }

}  // namespace

// How likely a conversation's last answer is when parts of its pictures are hidden.
class Weigher {
 public:
  // `most`: for the bar of progress.
  Weigher(Conversation& conversation, int64_t most)
      : parts_(*conversation.assistant_.parts_), state_(*conversation.state_), most_(most) {
    if (state_.answer.empty())
      throw Error(ErrorKind::usage, "explain: found no answer, expected one in the conversation");
    if (state_.pictures.empty())
      throw Error(ErrorKind::usage, "explain: found no picture in the conversation, expected at least one");
    for (const Image& picture : state_.pictures) means_.push_back(mean_color(picture));
  }

  std::vector<PictureSize> sizes() const {
    std::vector<PictureSize> sizes;
    for (const Image& picture : state_.pictures) sizes.push_back({picture.width, picture.height});
    return sizes;
  }

  // Before all else: with the pictures as they are.
  double as_it_is() {
    c10::InferenceMode inference;
    std::vector<HiddenPart> all;
    for (size_t i = 0; i < state_.pictures.size(); ++i) all.push_back(whole(state_.pictures[i], i));
    DecoderInput seen = input({}), unseen = input(all);
    // Whole blocks alone: a shared one would be copied by everyone.
    int64_t rows = shared_rows(seen, unseen) / nn::KvCache::kBlock * nn::KvCache::kBlock;
    shared_ = std::exchange(state_.cached, {});
    if (shared_) shared_->truncate(rows);
    if (rows == 0) shared_.reset();
    full_ = weigh({&seen, 1}).front();
    return full_;
  }

  std::vector<double> losses(std::span<const HiddenPart> hidden) {
    c10::InferenceMode inference;
    std::vector<double> losses;
    for (size_t begin = 0; begin < hidden.size(); begin += kTogether) {
      std::vector<DecoderInput> inputs;
      for (const HiddenPart& part : hidden.subspan(begin, std::min(kTogether, hidden.size() - begin))) {
        check_interrupt();
        inputs.push_back(input({&part, 1}));
      }
      for (double found : weigh(inputs)) losses.push_back(full_ - found);
    }
    return losses;
  }

  int64_t measurements() const { return measurements_; }

 private:
  // What the decoder reads when these parts, of different pictures, are hidden.
  DecoderInput input(std::span<const HiddenPart> hidden) {
    PreparedPrompt prompt = [&] {
      Curtain curtain(state_.pictures);
      for (const HiddenPart& part : hidden) curtain.hide(part, means_[part.picture]);
      return parts_.prepared(state_.prompt, state_.pictures, state_.videos);
    }();
    return std::move(parts_.model->embed(take_tensors(prompt)).front());
  }

  std::vector<double> weigh(std::span<DecoderInput> inputs) {
    std::vector<DecoderInput> prompts(std::move_iterator(inputs.begin()), std::move_iterator(inputs.end()));
    std::vector<double> found = log_likelihoods(*parts_.engine, std::move(prompts), state_.answer, shared_);
    measurements_ += static_cast<int64_t>(found.size());
    report_progress("explaining", measurements_, most_);
    return found;
  }

  Assistant::Parts& parts_;
  Conversation::State& state_;
  int64_t most_, measurements_ = 0;
  std::vector<Mean> means_;                   // colours, of each picture
  std::optional<nn::CachedSequence> shared_;  // what no picture changes
  double full_ = 0;
};

int64_t fewest_measurements(size_t pictures) { return fewest_hidings(pictures) + 1; }

Explanation explain(Conversation& conversation, const ExplainOptions& options) {
  Weigher weigher(conversation, options.most_measurements);
  std::vector<PictureSize> sizes = weigher.sizes();
  Explanation explanation;
  explanation.log_likelihood = weigher.as_it_is();
  HidingResult found = find_by_hiding(sizes, options.most_measurements - 1,
                                      [&](std::span<const HiddenPart> hidden) { return weigher.losses(hidden); });
  explanation.measurements = weigher.measurements();
  explanation.cells = std::move(found.cells);
  explanation.regions = std::move(found.regions);
  // The bar ends here, where fewer were needed too.
  report_progress("explaining", options.most_measurements, options.most_measurements);
  return explanation;
}

}  // namespace nuri
