#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/config_reader.h"

namespace nuri {

namespace jinja {
class Template;
}

// bos_token, eos_token and the like of a model folder, those that it gives, from tokenizer_config.json and
// special_tokens_map.json: {"bos_token": "<s>", ...}.
Json special_tokens_of_folder(const std::filesystem::path& folder);

// What one rendering may use up: nodes evaluated, items made and 64 bytes of text count one step each.
struct ChatTemplateLimits {
  int64_t steps = 10'000'000;
  size_t output_bytes = 64u << 20;
};

// A model's chat template: Jinja in the dialect of transformers' apply_chat_template (transformers 5,
// Jinja 3.1). Texts are UTF-8. Immutable and safe to share between threads, but for the setters.
class ChatTemplate {
 public:
  // Parses. Throws Error(format) "name:line: ..." for what is no template.
  ChatTemplate(const std::string& source, const std::string& name);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // The template of a model folder, looked for as transformers does: processor_config.json,
  // chat_template.json, chat_template.jinja with additional_chat_templates/, tokenizer_config.json; the first
  // two and the last may hold several under names, of which `which` is taken. Special tokens come from
  // tokenizer_config.json and special_tokens_map.json. nullopt when the folder has no template;
  // Error(usage) when it has some, but none named `which`; Error(format) for broken files.
  static std::optional<ChatTemplate> from_folder(const std::filesystem::path& folder,
                                                 std::string_view which = "default");

  // The prompt. `messages`: as Hugging Face takes them, [{"role", "content": text or
  // [{"type": "text" or "image", ...}]}]; keys that are null count as absent, and image_url blocks become
  // image blocks. `variables`: further names, which go before the special tokens: tools, documents, ...
  // Throws Error "name:line: ...": usage when the template refuses the messages (raise_exception) or they are
  // none, format for mistakes of the template, resource past a limit, unsupported for what is not provided.
  std::string render(const Json& messages, const Json& variables = Json::object(),
                     bool add_generation_prompt = true) const;

  // bos_token, eos_token and the like, as from_folder found them.
  const Json& special_tokens() const { return special_tokens_; }
  void set_special_tokens(Json tokens) { special_tokens_ = std::move(tokens); }
  void set_limits(const ChatTemplateLimits& limits) { limits_ = limits; }
  // Seconds since the epoch for strftime_now, which shows them in local time; the machine's clock by default.
  void set_clock(std::function<int64_t()> clock) { clock_ = std::move(clock); }

 private:
  std::unique_ptr<jinja::Template> template_;
  std::unique_ptr<jinja::Template> tool_template_;  // for conversations with tools, when the model has one
  Json special_tokens_ = Json::object();
  ChatTemplateLimits limits_;
  std::function<int64_t()> clock_;
};

// A message of a user who shows pictures and says something about them: the pictures first.
Json user_message(size_t pictures, const std::string& text);

}  // namespace nuri
