#include "tasks/chat_prompt.h"

namespace nuri {

std::string chat_text(const Json& messages, const std::optional<ChatTemplate>& chat, const Processor& processor) {
  if (chat) return chat->render(messages);
  std::string text;
  for (const auto& message : messages)
    for (const auto& part : message.at("content")) {
      if (part.at("type") == "image") text += processor.placeholder() + "\n";
      if (part.at("type") == "video") text += processor.video_placeholder() + "\n";
      if (part.at("type") == "text") text += part.at("text").get<std::string>() + "\n";
    }
  return text;
}

PreparedPrompt prepare_chat(const std::string& text, const std::optional<ChatTemplate>& chat,
                            const Processor& processor, std::span<const Image> pictures,
                            std::span<const Video> videos) {
  bool special = !chat || processor.adds_special_to_chat();
  std::string bos = chat ? chat->special_tokens().value("bos_token", std::string()) : "";
  if (!bos.empty() && text.starts_with(bos)) special = false;
  return processor(text, pictures, videos, special);
}

}  // namespace nuri
