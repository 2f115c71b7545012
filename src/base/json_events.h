#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/config_reader.h"

namespace nuri {

// What reads a JSON text event by event, for documents whose form is fixed or where repeated keys matter (a
// tree keeps one of them). Derive, and override the events of nlohmann::json_sax; each returns true, or
// throws. `name` stands in messages.
class JsonEvents : public nlohmann::json_sax<Json> {
 public:
  explicit JsonEvents(std::string_view name) : name_(name) {}
  // Error(format) for text that is no JSON.
  void read(std::string_view text);

 protected:
  const std::string& name() const { return name_; }

 private:
  bool binary(binary_t&) final { return false; }  // JSON text has none
  bool parse_error(size_t position, const std::string& token, const nlohmann::json::exception& error) final;

  std::string name_;
};

}  // namespace nuri
