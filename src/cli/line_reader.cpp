#include "cli/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include "base/report.h"

namespace nuri::cli {

std::optional<std::string> LineReader::next() {
  constexpr int kLookMilliseconds = 100;  // a signal may come just before poll
  while (true) {
    size_t end = waiting_.find('\n');
    if (end != std::string::npos || (ended_ && !waiting_.empty())) {
      std::string line = waiting_.substr(0, end);
      waiting_.erase(0, end == std::string::npos ? end : end + 1);
      return line;
    }
    if (ended_) return {};
    check_interrupt();
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, kLookMilliseconds) <= 0) continue;
    char buffer[4096];
    ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0) ended_ = true;
    if (got > 0) waiting_.append(buffer, static_cast<size_t>(got));
  }
}

}  // namespace nuri::cli
