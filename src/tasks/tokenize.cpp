#include "tasks/tokenize.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tasks/model_folder.h"
#include "text/chat_template.h"

namespace nuri {
namespace {

Json parse_messages(const std::string& text, const std::string& source) {
  Json messages = parse_json(text, source);
  bool fine = messages.is_array() && !messages.empty();
  for (const Json& message : messages) fine = fine && message.is_object();
  if (!fine)
    throw Error(ErrorKind::format,
                fmt::format("{}: found {}, expected a list of at least one message, each an object with role and "
                            "content",
                            source, shown_text(messages.dump(-1, ' ', false, Json::error_handler_t::replace))));
  return messages;
}

}  // namespace

struct TextTools::Parts {
  std::filesystem::path folder;
  Tokenizer tokenizer;
};

TextTools::TextTools(const std::string& model) {
  std::filesystem::path folder = find_model(model);
  parts_ = std::make_unique<Parts>(Parts{folder, Tokenizer::from_folder(folder)});
}

TextTools::~TextTools() = default;

Tokenized TextTools::encode(const std::string& text, bool special) const {
  return decode(parts_->tokenizer.encode(text, special));
}

Tokenized TextTools::decode(const std::vector<int32_t>& ids) const { return {ids, parts_->tokenizer.decode(ids)}; }

Tokenized TextTools::chat(const std::string& messages_json, const std::string& source) const {
  auto chat = ChatTemplate::from_folder(parts_->folder);
  if (!chat)
    throw Error(ErrorKind::usage, fmt::format("{}: found no chat template, expected one in chat_template.jinja or "
                                              "tokenizer_config.json",
                                              parts_->folder.string()));
  std::string prompt = chat->render(parse_messages(messages_json, source));
  return {parts_->tokenizer.encode(prompt, false), prompt};
}

}  // namespace nuri
