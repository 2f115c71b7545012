#pragma once

// Not installed: what the tasks that hold a conversation share.

#include <filesystem>

#include "base/config_reader.h"
#include "generate/engine.h"
#include "generate/generation_config.h"
#include "tasks/ask.h"
#include "tasks/draft.h"
#include "tasks/model_folder.h"
#include "text/chat_template.h"

namespace nuri {

struct Assistant::Parts {
  ModelOptions options;
  std::filesystem::path folder;
  OpenedModel opened;
  CausalLM* model = nullptr;
  std::unique_ptr<Processor> processor;
  std::optional<ChatTemplate> chat;
  GenerationConfig generation;
  SpeculationOptions speculation;
  std::unique_ptr<Draft> draft;  // before the engine, which uses it
  std::unique_ptr<Engine> engine;
  double load_s = 0;
  bool shows_routing = false;

  // The conversation as the model was taught to read it; without a chat template, the plain texts.
  std::string prompt(const Json& messages) const;
  // What the processor makes of that.
  PreparedPrompt prepared(const std::string& prompt, std::span<const Image> pictures,
                          std::span<const Video> videos) const;
  // What the engine is to do for it: `ids`, the pictures' and videos' rows, and how to choose. Takes their arrays.
  Request request(PreparedPrompt& prompt, const GenerationOptions& options);
  // Until it is done, or an error. `tap` sees the experts' routing, where that is shown.
  Generation run(Request request, Tap& tap);
  bool has_experts() const;
  void settle_speculation();
};

struct Conversation::State {
  Json messages = Json::array();
  Json pending = Json::array();  // pictures that wait for the next text
  std::vector<Image> pictures;
  std::vector<Video> videos;
  std::vector<std::string> picture_files, video_files;
  std::vector<double> video_lengths;  // seconds

  std::string prompt;           // of the last answer
  std::vector<int64_t> answer;  // its tokens

  // What the cache holds of the last prompt and answer.
  std::vector<int64_t> cached_ids;
  size_t prompt_length = 0;
  std::optional<nn::CachedSequence> cached;
  size_t cached_media = 0;

  size_t media() const { return pictures.size() + videos.size(); }

  // How many leading ids of a new prompt the cache already holds: nothing less than the whole last prompt counts, so
  // that pictures are either wholly inside or wholly outside. Where every token may look at what stands in the slots,
  // a further picture changes them all.
  size_t known_prefix(const std::vector<int64_t>& ids, const DecoderInput& input) const {
    if (!cached || ((input.slots || cached->slots()) && cached_media != media())) return 0;
    size_t same = 0, most = std::min({ids.size(), cached_ids.size(), static_cast<size_t>(cached->length())});
    while (same < most && ids[same] == cached_ids[same]) ++same;
    return same >= prompt_length && same < ids.size() ? same : 0;
  }
  // Gives the request what the cache holds of it; nothing is cached afterwards.
  void take_known(Request& request);
  // What was asked and answered last.
  void remember(std::vector<int64_t> prompt_ids, Generation& done);
};

}  // namespace nuri
