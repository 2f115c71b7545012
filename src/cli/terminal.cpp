#include "cli/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace nuri::cli {
namespace {

constexpr int kBar = 28;
constexpr auto kBetween = std::chrono::milliseconds(100);

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

void open_missing_streams() {
  // open() gives the lowest free number, so they are looked at in order; each is opened the wrong way round.
  for (int stream : {STDIN_FILENO, STDOUT_FILENO})
    if (::fcntl(stream, F_GETFD) < 0) ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  if (::fcntl(STDERR_FILENO, F_GETFD) < 0) ::open("/dev/null", O_WRONLY);
}

std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return line;
}

Terminal::Terminal() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Terminal::~Terminal() {
  set_report_sink(nullptr);
  clear();
}

void Terminal::warn(std::string_view line) {
  std::lock_guard lock(mutex_);
  clear_bar();
  fmt::print(stderr, "nuri: {}\n", one_line(line));
}

void Terminal::progress(std::string_view task, int64_t done, int64_t total, std::string_view detail) {
  if (!is_terminal_) return;
  std::lock_guard lock(mutex_);
  auto now = std::chrono::steady_clock::now();
  if (done < total && now - last_ < kBetween) return;
  last_ = now;
  int filled = total > 0 ? static_cast<int>(kBar * done / total) : 0;
  std::string line =
      one_line(fmt::format("{} [{:=<{}}{: <{}}] {}/{} {}", task, "", filled, "", kBar - filled, done, total, detail));
  size_t end = std::min(line.size(), terminal_width() - 1);
  while (end > 0 && end < line.size() && (line[end] & 0xC0) == 0x80) --end;  // never inside a character
  line.resize(end);
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
  bar_shown_ = true;
  if (done >= total) clear_bar();
}

void Terminal::clear() {
  std::lock_guard lock(mutex_);
  clear_bar();
}

void Terminal::clear_bar() {
  if (!bar_shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  bar_shown_ = false;
}

}  // namespace nuri::cli
