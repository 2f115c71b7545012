#pragma once

#include <stdexcept>
#include <string>

namespace nuri {

// What went wrong, as the caller may act on it: `usage` is the caller's to mend (exit code 2), the
// others end with exit code 1.
enum class ErrorKind { usage, format, unsupported, resource, internal, interrupted };

// The one exception of the library. The message is one line that names the file or argument, what was
// found and what was expected.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace nuri
