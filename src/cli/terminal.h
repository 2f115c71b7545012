#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "base/report.h"

namespace nuri::cli {

// The three standard streams exist: a closed one would lend its number to the next file that is opened, and what is
// printed would go there. A closed standard output stays one that cannot be written.
void open_missing_streams();

// Text for one line of a terminal: control characters become blanks.
std::string one_line(std::string_view text);

// Shows warnings, and a progress bar on standard error when that is a terminal.
class Terminal : public ReportSink {
 public:
  Terminal();
  ~Terminal() override;
  void warn(std::string_view line) override;
  void progress(std::string_view task, int64_t done, int64_t total, std::string_view detail) override;
  // Takes the bar away, so that a line can be printed.
  void clear();

 private:
  void clear_bar();

  std::mutex mutex_;
  bool is_terminal_, bar_shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace nuri::cli
