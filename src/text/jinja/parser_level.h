#pragma once

#include <fmt/format.h>

#include "text/jinja/parser.h"

namespace nuri::jinja {

class Parser::Level {
 public:
  explicit Level(Parser& parser) : parser_(parser) {
    if (parser_.depth_ >= kMaxDepth) {
      parser_.syntax_error(fmt::format("nested more than {} levels deep", kMaxDepth));
    }
    ++parser_.depth_;
  }
  ~Level() { --parser_.depth_; }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

 private:
  Parser& parser_;
};

}  // namespace nuri::jinja
