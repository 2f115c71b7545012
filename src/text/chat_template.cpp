#include "text/chat_template.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "text/gguf_tokenizer.h"
#include "text/jinja/template.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

int64_t machine_clock() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// ---- what transformers does to messages before a template sees them

Json image_block(const Json& block) {
  bool is_link = block.is_object() && block.value("type", Json()) == "image_url" && block.contains("image_url");
  if (!is_link) return block;
  const Json& link = block["image_url"];
  Json url = !link.is_object() ? link : link.contains("url") ? link["url"] : Json("");
  return Json{{"type", "image"}, {"url", url}};
}

// Reasoning goes by several names; templates may read any of them.
void alias_reasoning(Json& message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (!message.contains(name) || message[name].is_null()) continue;
    Json reasoning = message[name];
    Json aliased{{"thinking", reasoning}};
    aliased.update(message);
    aliased["reasoning_content"] = reasoning;
    message = std::move(aliased);
    return;
  }
}

Json normalized_message(const Json& message) {
  Json out = Json::object();
  for (auto& [key, value] : message.items()) {
    if (value.is_null()) continue;
    if (key == "content" && value.is_array()) {
      Json content = Json::array();
      for (const Json& block : value) content.push_back(image_block(block));
      out[key] = std::move(content);
    } else {
      out[key] = value;
    }
  }
  alias_reasoning(out);
  return out;
}

Json normalized_messages(const Json& messages) {
  if (!messages.is_array() || messages.empty()) {
    throw Error(ErrorKind::usage, "messages: expected a list of at least one message");
  }
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    if (!messages[i].is_object()) {
      throw Error(ErrorKind::usage, fmt::format("messages[{}]: found {}, expected an object with role and content", i,
                                                messages[i].type_name()));
    }
    out.push_back(normalized_message(messages[i]));
  }
  return out;
}

void require_objects(const Json& variables, const char* name) {
  auto found = variables.find(name);
  if (found == variables.end() || found->is_null()) return;
  bool fine = found->is_array();
  for (const Json& each : *found) fine = fine && each.is_object();
  if (!fine) throw Error(ErrorKind::usage, fmt::format("{}: expected a list of objects", name));
}

// ---- finding the template of a folder

struct NamedTemplate {
  std::string source;
  std::string name;  // the file, for messages
};
using Templates = std::map<std::string, NamedTemplate>;

[[noreturn]] void bad_entry(const fs::path& file, const Json& found) {
  throw Error(ErrorKind::format,
              fmt::format("{}: chat_template: found {}, expected a string, an object of strings, or a "
                          "list of {{name, template}}",
                          file.string(), found.type_name()));
}

// A string, {name: template} or [{name, template}].
Templates templates_of_entry(const Json& entry, const fs::path& file) {
  Templates out;
  auto add = [&](const std::string& name, const Json& source) {
    if (!source.is_string()) bad_entry(file, source);
    out[name] = {source.get<std::string>(), file.string()};
  };
  if (entry.is_string()) {
    add("default", entry);
  } else if (entry.is_object()) {
    for (auto& [name, source] : entry.items()) add(name, source);
  } else if (entry.is_array()) {
    for (const Json& each : entry) {
      bool named = each.is_object() && each.contains("name") && each["name"].is_string() && each.contains("template");
      if (!named) bad_entry(file, each);
      add(each["name"].get<std::string>(), each["template"]);
    }
  } else {
    bad_entry(file, entry);
  }
  return out;
}

Json read_object(const fs::path& file) {
  Json json = read_json_file(file);
  if (!json.is_object()) {
    throw Error(ErrorKind::format, fmt::format("{}: found {}, expected an object", file.string(), json.type_name()));
  }
  return json;
}

Templates templates_of_json(const fs::path& file) {
  if (!is_there(file)) return {};
  Json json = read_object(file);
  auto entry = json.find("chat_template");
  return entry == json.end() || entry->is_null() ? Templates{} : templates_of_entry(*entry, file);
}

Templates templates_of_jinja_files(const fs::path& folder) {
  Templates out;
  auto add = [&](const std::string& name, const fs::path& file) {
    out[name] = {read_file(file, size_t{16} << 20), file.string()};
  };
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "additional_chat_templates", error)) {
    if (entry.path().extension() == ".jinja" && is_there(entry.path())) add(entry.path().stem().string(), entry.path());
  }
  if (is_there(folder / "chat_template.jinja")) add("default", folder / "chat_template.jinja");
  return out;
}

Templates templates_of_folder(const fs::path& folder, bool& of_processor) {
  of_processor = false;
  if (is_gguf_file(folder)) {
    Templates out;
    for (auto& [name, source] : gguf_chat_templates(GgufFile(folder).metadata()))
      out[name] = {source, fmt::format("{}: tokenizer.chat_template", folder.string())};
    return out;
  }
  of_processor = true;
  for (const char* file : {"processor_config.json", "chat_template.json"}) {
    if (Templates found = templates_of_json(folder / file); !found.empty()) return found;
  }
  of_processor = is_there(folder / "processor_config.json") || is_there(folder / "preprocessor_config.json");
  if (Templates found = templates_of_jinja_files(folder); !found.empty()) return found;
  return templates_of_json(folder / "tokenizer_config.json");
}

// ---- special tokens

// The entries that transformers passes to templates.
constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};

void take_special_tokens(const Json& source, Json& tokens) {
  for (const char* name : kSpecialTokens) {
    auto found = source.find(name);
    if (found == source.end()) continue;
    const Json& token = found->is_object() && found->contains("content") ? (*found)["content"] : *found;
    if (token.is_string()) {
      tokens[name] = token;
    } else if (token.is_null()) {
      tokens.erase(name);
    }
  }
}

}  // namespace

Json special_tokens_of_folder(const fs::path& folder) {
  if (is_gguf_file(folder)) return gguf_special_tokens(GgufFile(folder).metadata());
  Json tokens = Json::object();
  bool complete = false;
  if (is_there(folder / "tokenizer_config.json")) {
    Json config = read_object(folder / "tokenizer_config.json");
    take_special_tokens(config, tokens);
    complete = config.contains("added_tokens_decoder");
  }
  // Older folders keep the tokens' last word here.
  if (!complete && is_there(folder / "special_tokens_map.json")) {
    take_special_tokens(read_object(folder / "special_tokens_map.json"), tokens);
  }
  return tokens;
}

ChatTemplate::ChatTemplate(const std::string& source, const std::string& name)
    : template_(std::make_unique<jinja::Template>(source, name)), clock_(machine_clock) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::optional<ChatTemplate> ChatTemplate::from_folder(const fs::path& folder, std::string_view which) {
  bool of_processor = false;
  Templates templates = templates_of_folder(folder, of_processor);
  if (templates.empty()) return std::nullopt;
  auto found = templates.find(std::string(which));
  if (found == templates.end()) {
    std::vector<std::string> names;
    for (const auto& [name, unused] : templates) names.push_back(name);
    throw Error(ErrorKind::usage, fmt::format("{}: no chat template named '{}', expected one of: {}", folder.string(),
                                              which, fmt::join(names, ", ")));
  }
  std::optional<ChatTemplate> out(std::in_place, found->second.source, found->second.name);
  auto with_tools = templates.find("tool_use");
  if (!of_processor && which == "default" && with_tools != templates.end()) {
    out->tool_template_ = std::make_unique<jinja::Template>(with_tools->second.source, with_tools->second.name);
  }
  out->special_tokens_ = special_tokens_of_folder(folder);
  return out;
}

std::string ChatTemplate::render(const Json& messages, const Json& variables, bool add_generation_prompt) const {
  if (!variables.is_object()) throw Error(ErrorKind::usage, "variables: expected an object");
  require_objects(variables, "tools");
  require_objects(variables, "documents");
  Json all = special_tokens_;
  all["tools"] = nullptr;
  all["documents"] = nullptr;
  all.update(variables);
  bool with_tools = !all["tools"].is_null();
  all["messages"] = normalized_messages(messages);
  all["add_generation_prompt"] = add_generation_prompt;
  jinja::Limits limits;
  limits.steps = limits_.steps;
  limits.output_bytes = limits_.output_bytes;
  return (with_tools && tool_template_ ? *tool_template_ : *template_).render(all, limits, clock_);
}

Json user_message(size_t pictures, const std::string& text) {
  Json content = Json::array();
  for (size_t i = 0; i < pictures; ++i) content.push_back({{"type", "image"}});
  content.push_back({{"type", "text"}, {"text", text}});
  return {{"role", "user"}, {"content", std::move(content)}};
}

}  // namespace nuri
