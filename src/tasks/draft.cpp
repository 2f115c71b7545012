#include "tasks/draft.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "generate/draft_model.h"
#include "models/parts/inputs.h"
#include "tasks/chat_prompt.h"
#include "tasks/model_folder.h"

namespace nuri {

void check_speculation(const SpeculationOptions& options) {
  if (!options.speculate.empty() && options.speculate != "lookup" && options.speculate != "off")
    throw Error(ErrorKind::usage, fmt::format("--speculate: found {}, expected lookup or off", options.speculate));
  if (options.speculate == "off" && !options.draft.empty())
    throw Error(ErrorKind::usage,
                fmt::format("--draft: found {}, expected none beside --speculate off", options.draft));
}

namespace {

ModelOptions options_of(const std::string& name, ModelOptions target) {
  target.model = name;
  return target;
}

}  // namespace

Draft::Draft(const std::string& name, const ModelOptions& target)
    : folder_(find_model(name)), opened_(open_model(options_of(name, target))) {
  model_ = dynamic_cast<CausalLM*>(opened_.model.get());
  if (model_ == nullptr)
    throw Error(ErrorKind::usage,
                fmt::format("--draft: found {}, a model that gives no text, expected one that does", folder_.string()));
}

void Draft::expect_tokens(const Tokenizer& target, const std::string& target_name) {
  processor_ = open_processor(folder_);
  chat_ = ChatTemplate::from_folder(folder_);
  const Tokenizer& own = processor_->tokenizer();
  for (int64_t id = 0; id < std::max(own.vocab_size(), target.vocab_size()); ++id) {
    std::string found = own.token_of(static_cast<int32_t>(id)), expected = target.token_of(static_cast<int32_t>(id));
    if (found != expected)
      throw Error(ErrorKind::usage,
                  fmt::format("--draft: {}: found the token \"{}\" with the number {}, expected \"{}\" as in {}",
                              folder_.string(), found, id, expected, target_name));
  }
}

void Draft::expect_vocabulary(const CausalLM& target, const std::string& target_name) const {
  if (model_->limits().vocabulary != target.limits().vocabulary)
    throw Error(ErrorKind::usage, fmt::format("--draft: {}: found {} tokens, expected {} as in {}", folder_.string(),
                                              model_->limits().vocabulary, target.limits().vocabulary, target_name));
}

std::unique_ptr<Proposer> Draft::proposer(const CausalLM& target, int64_t context) const {
  return std::make_unique<DraftModel>(*model_, target.limits().vocabulary, std::min(context, model_->limits().context));
}

std::shared_ptr<const DraftPrompt> Draft::prompt(const Json& messages, std::span<const Image> pictures,
                                                 std::span<const Video> videos) const {
  bool sees = (pictures.empty() || !processor_->placeholder().empty()) &&
              (videos.empty() || !processor_->video_placeholder().empty());
  if (!sees || (pictures.empty() && videos.empty())) return nullptr;
  PreparedPrompt prepared = prepare_chat(chat_text(messages, chat_, *processor_), chat_, *processor_, pictures, videos);
  auto prompt = std::make_shared<DraftPrompt>();
  prompt->ids.assign(prepared.ids.begin(), prepared.ids.end());
  prompt->input = std::move(model_->embed(take_tensors(prepared)).front());
  return prompt;
}

}  // namespace nuri
