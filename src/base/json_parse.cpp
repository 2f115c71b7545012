#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/config_reader.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_events.h"

namespace nuri {
namespace {

constexpr size_t kMaxDepth = 200;

// Builds the tree in time linear in the text: nlohmann's own builder searches an ordered object for each new
// key, which makes a vocabulary of 100,000 words take minutes. A repeated key keeps its last value, as in
// the reference.
class JsonBuilder : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool start_object(size_t) override { return open(); }
  bool start_array(size_t) override { return open(); }

  bool key(string_t& value) override {
    open_.back().keys.push_back(std::move(value));
    return true;
  }

  bool end_object() override {
    auto [keys, values] = std::move(open_.back());
    open_.pop_back();
    std::unordered_map<std::string_view, size_t> last;
    for (size_t i = 0; i < keys.size(); ++i) last[keys[i]] = i;
    Json object = Json::object();
    auto& members = object.get_ref<Json::object_t&>();
    members.reserve(last.size());
    for (size_t i = 0; i < keys.size(); ++i)
      if (last[keys[i]] == i) members.emplace_back(keys[i], std::move(values[i]));
    return put(std::move(object));
  }

  bool end_array() override {
    Json list = Json::array();
    list.get_ref<Json::array_t&>() = std::move(open_.back().values);
    open_.pop_back();
    return put(std::move(list));
  }

  Json take() { return std::move(root_); }

 private:
  struct Open {
    std::vector<std::string> keys;  // of an object
    std::vector<Json> values;
  };

  bool open() {
    if (open_.size() == kMaxDepth)
      throw Error(ErrorKind::format, fmt::format("{}: found JSON nested deeper than {} levels", name(), kMaxDepth));
    open_.emplace_back();
    return true;
  }

  bool put(Json value) {
    if (open_.empty())
      root_ = std::move(value);
    else
      open_.back().values.push_back(std::move(value));
    return true;
  }

  std::vector<Open> open_;
  Json root_;
};

}  // namespace

bool JsonEvents::parse_error(size_t, const std::string&, const nlohmann::json::exception& error) {
  std::string_view reason = error.what();
  if (auto bracket = reason.find("] "); bracket != std::string_view::npos) reason.remove_prefix(bracket + 2);
  // What was read last may be no UTF-8, or be cut inside a character.
  std::string line =
      Json::parse(Json(reason.substr(0, 200)).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
  std::replace(line.begin(), line.end(), '\n', ' ');
  throw Error(ErrorKind::format, fmt::format("{}: found no valid JSON: {}", name_, line));
}

void JsonEvents::read(std::string_view text) {
  // The JSON reader would take a zero byte for the end and leave the rest unread.
  if (size_t zero = text.find('\0'); zero != std::string_view::npos)
    throw Error(ErrorKind::format, fmt::format("{}: found a zero at byte {}, expected JSON text", name_, zero));
  Json::sax_parse(text.begin(), text.end(), static_cast<nlohmann::json_sax<Json>*>(this));
}

Json parse_json(std::string_view text, std::string_view name) {
  JsonBuilder builder(name);
  builder.read(text);
  return builder.take();
}

Json read_json_file(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

}  // namespace nuri
