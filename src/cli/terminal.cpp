#include "cli/terminal.h"

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

Terminal::Terminal() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Terminal::~Terminal() {
  set_report_sink(nullptr);
  clear();
}

void Terminal::warn(std::string_view line) {
  std::lock_guard lock(mutex_);
  clear_bar();
  fmt::print(stderr, "nuri: {}\n", line);
}

void Terminal::progress(std::string_view task, int64_t done, int64_t total, std::string_view detail) {
  if (!is_terminal_) return;
  std::lock_guard lock(mutex_);
  auto now = std::chrono::steady_clock::now();
  if (done < total && now - last_ < kBetween) return;
  last_ = now;
  int filled = total > 0 ? static_cast<int>(kBar * done / total) : 0;
  std::string line =
      fmt::format("{} [{:=<{}}{: <{}}] {}/{} {}", task, "", filled, "", kBar - filled, done, total, detail);
  line.resize(std::min(line.size(), terminal_width() - 1));
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
