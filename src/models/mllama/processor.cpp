#include "models/mllama/processor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "models/mllama/image_processor.h"
#include "text/chat_template.h"

namespace nuri {
namespace {

constexpr const char* kImageToken = "<|image|>";

const NamedArray& array_named(const PreparedPictures& pictures, std::string_view name) {
  return *std::find_if(pictures.arrays.begin(), pictures.arrays.end(), [&](const auto& a) { return a.name == name; });
}

class MllamaProcessor : public Processor {
 public:
  explicit MllamaProcessor(const std::filesystem::path& folder)
      : Processor(Tokenizer::from_folder(folder)),
        images_(MllamaImageProcessor::from_folder(folder)),
        begin_(special_tokens_of_folder(folder).value("bos_token", "")) {
    auto token = tokenizer().id_of(kImageToken);
    if (!token)
      throw Error(ErrorKind::format,
                  fmt::format("{}: tokenizer.json has no token {}, expected one", folder.string(), kImageToken));
    image_token_ = *token;
    if (begin_.empty())
      throw Error(ErrorKind::format,
                  fmt::format("{}: tokenizer_config.json: bos_token: found none, expected a token", folder.string()));
  }

  std::string placeholder() const override { return kImageToken; }
  const PictureProcessor& pictures() const override { return images_; }
  bool adds_special_to_chat() const override { return true; }

 protected:
  // A text without a token of beginning gets one, behind the pictures that it starts with.
  std::string prepared_text(std::string_view text) const override {
    if (text.find(begin_) != std::string_view::npos) return std::string(text);
    std::string front;
    for (std::string_view token = kImageToken; text.starts_with(token); text.remove_prefix(token.size()))
      front += token;
    return front + begin_ + std::string(text);
  }

  void complete(PreparedPrompt& prompt) const override {
    if (prompt.pictures.geometry.empty()) return;
    const NamedArray& there = array_named(prompt.pictures, "aspect_ratio_mask");
    const auto& tiles = std::get<std::vector<int64_t>>(there.values);
    auto length = static_cast<int64_t>(prompt.ids.size()), pictures = there.shape[1], most = there.shape[2];
    auto ranges = looking_ranges(prompt.ids, image_token_);
    if (static_cast<int64_t>(ranges.size()) != pictures)
      throw Error(ErrorKind::format, fmt::format("tokenizer.json: found {} tokens {} in the ids for {} pictures, "
                                                 "expected as many",
                                                 ranges.size(), kImageToken, pictures));
    std::vector<int64_t> mask(static_cast<size_t>(length * pictures * most), 0);
    for (int64_t picture = 0; picture < pictures; ++picture)
      for (int64_t row = ranges[picture].first; row < ranges[picture].second; ++row)
        std::copy_n(tiles.begin() + picture * most, most, mask.begin() + (row * pictures + picture) * most);
    prompt.pictures.arrays.push_back({"cross_attention_mask", {1, length, pictures, most}, std::move(mask)});
  }

 private:
  MllamaImageProcessor images_;
  std::string begin_;
  int32_t image_token_;
};

}  // namespace

std::vector<std::pair<int64_t, int64_t>> looking_ranges(std::span<const int32_t> ids, int32_t image_token) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] == image_token) ranges.emplace_back(i, ids.size());
  for (size_t i = ranges.size(); i-- > 1;) {
    bool adjacent = ranges[i - 1].first + 1 == ranges[i].first;
    ranges[i - 1].second = adjacent ? ranges[i].second : ranges[i].first;
  }
  return ranges;
}

std::unique_ptr<Processor> make_mllama_processor(const std::filesystem::path& folder, const ConfigReader&) {
  return std::make_unique<MllamaProcessor>(folder);
}

std::unique_ptr<PictureProcessor> make_mllama_pictures(const std::filesystem::path& folder) {
  return std::make_unique<MllamaImageProcessor>(MllamaImageProcessor::from_folder(folder));
}

}  // namespace nuri
