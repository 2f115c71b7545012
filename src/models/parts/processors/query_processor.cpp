#include "models/parts/processors/query_processor.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "models/parts/connectors/qformer_config.h"
#include "models/parts/size_config.h"

namespace nuri {
namespace {

std::optional<int64_t> read_queries(const std::filesystem::path& folder) {
  auto path = folder / "processor_config.json";
  if (!std::filesystem::exists(path)) return {};
  ConfigReader config(read_json_file(path), path.string());
  if (!config.has("num_query_tokens")) return {};
  return read_size(config, "num_query_tokens", 32, kMostQueries);
}

// What the tokenizer's file calls its image token; most do not, and mean this one.
std::string read_image_token_text(const std::filesystem::path& folder) {
  auto path = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return "<image>";
  ConfigReader config(read_json_file(path), path.string());
  for (const ConfigReader& place : {config, config.child_or_empty("extra_special_tokens")})
    if (place.has("image_token") && place.required<Json>("image_token").is_string())
      return place.required<std::string>("image_token");
  return "<image>";
}

}  // namespace

QueryProcessor::QueryProcessor(const std::filesystem::path& folder, std::optional<int64_t> image_token)
    : Processor(Tokenizer::from_folder(folder)),
      images_(ImageProcessor::from_folder(folder)),
      token_(read_image_token_text(folder)),
      id_(tokenizer().id_of(token_)),
      queries_(read_queries(folder)) {
  if (!id_ && image_token && *image_token <= INT32_MAX) id_ = static_cast<int32_t>(*image_token);
  if (queries_ && !id_)
    throw Error(ErrorKind::format,
                fmt::format("{}: tokenizer.json has no token {}, and config.json no image_token_index, expected one of "
                            "them, since num_query_tokens is given",
                            folder.string(), token_));
}

std::string QueryProcessor::without_placeholder(std::string_view text) const {
  size_t at = text.find(token_);
  if (at == std::string_view::npos) return std::string(text);
  std::string_view behind = text.substr(at + token_.size());
  if (behind.starts_with('\n')) behind.remove_prefix(1);
  if (behind.find(token_) != std::string_view::npos)
    throw Error(ErrorKind::usage, fmt::format("the prompt: found several {}, expected at most one", token_));
  return std::string(text.substr(0, at)) + std::string(behind);
}

PreparedPrompt QueryProcessor::operator()(std::string_view text, std::span<const Image> images,
                                          std::span<const Video> videos, bool add_special) const {
  if (!videos.empty()) prepare_videos(videos);  // throws
  if (images.size() > 1)
    throw Error(ErrorKind::usage,
                fmt::format("found {} pictures, expected one: this model reads one with a prompt", images.size()));
  PreparedPrompt prompt;
  std::string bare = images.empty() ? std::string(text) : without_placeholder(text);
  if (!images.empty()) {
    prompt.pictures = pictures().prepare(images);
    if (queries_) prompt.ids.assign(static_cast<size_t>(*queries_), *id_);
  }
  std::vector<int32_t> words = tokenizer().encode(bare, add_special);
  prompt.ids.insert(prompt.ids.end(), words.begin(), words.end());
  add_text(prompt, bare);
  return prompt;
}

}  // namespace nuri
