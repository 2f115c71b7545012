#pragma once

#include <optional>
#include <string>

namespace nuri::cli {

// Lines of standard input, without their ends.
class LineReader {
 public:
  // Nothing at the end of the input. Throws Error(interrupted) at Ctrl-C, which std::getline would not notice.
  std::optional<std::string> next();

 private:
  std::string waiting_;
  bool ended_ = false;
};

}  // namespace nuri::cli
