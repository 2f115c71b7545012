#pragma once

// Not installed: what the tasks that hold a conversation share.

#include <optional>
#include <span>
#include <string>

#include "base/config_reader.h"
#include "models/parts/processors/processor.h"
#include "text/chat_template.h"

namespace nuri {

// A conversation as a model was taught to read it; without a chat template, the plain texts.
std::string chat_text(const Json& messages, const std::optional<ChatTemplate>& chat, const Processor& processor);

// What the processor makes of that.
PreparedPrompt prepare_chat(const std::string& text, const std::optional<ChatTemplate>& chat,
                            const Processor& processor, std::span<const Image> pictures, std::span<const Video> videos);

}  // namespace nuri
