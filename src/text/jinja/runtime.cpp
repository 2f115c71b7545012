#include "text/jinja/runtime.h"

#include <fmt/format.h>

#include "base/report.h"

namespace nuri::jinja {

void fail(const std::string& message) { throw Failure{ErrorKind::format, message}; }
void fail(ErrorKind kind, const std::string& message) { throw Failure{kind, message}; }

void Runtime::charge_text(size_t bytes) {
  if (bytes > limits_.output_bytes) {
    fail(ErrorKind::resource, fmt::format("a text of {} bytes, at most {} are allowed", bytes, limits_.output_bytes));
  }
  charge(static_cast<int64_t>(bytes / 64));
}

void Runtime::charge_items(uint64_t items) {
  if (items > static_cast<uint64_t>(steps_left_)) out_of_steps();
  charge(static_cast<int64_t>(items));
}

void Runtime::out_of_steps() const {
  fail(ErrorKind::resource, fmt::format("the template takes more than {} steps", limits_.steps));
}

void Runtime::too_deep() {
  --depth_;  // the Level that asked is never constructed, so its destructor does not run
  fail(ErrorKind::resource, fmt::format("nested more than {} levels deep", limits_.depth));
}

void Runtime::check() {
  steps_since_check_ = 0;
  check_interrupt();
}

}  // namespace nuri::jinja
