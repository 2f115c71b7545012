#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nuri {

// What the lower floors tell while they work. The top floor provides a sink that prints; without one,
// nothing is shown. Calls may come from any thread.
class ReportSink {
 public:
  virtual ~ReportSink() = default;
  virtual void warn(std::string_view line) = 0;
  // `done` of `total` units of `task` ("loading", "training"); `detail` is a short free text ("loss 2.31").
  virtual void progress(std::string_view task, int64_t done, int64_t total, std::string_view detail) = 0;
};

// The sink must outlive its use; nullptr removes it.
void set_report_sink(ReportSink* sink);
void warn(std::string_view line);
void report_progress(std::string_view task, int64_t done, int64_t total, std::string_view detail = {});

// Ctrl-C: the top floor's signal handler calls request_interrupt (async-signal-safe); loops that may run
// long call check_interrupt, which throws Error(interrupted) once the request was made.
void request_interrupt() noexcept;
bool interrupt_requested() noexcept;
void clear_interrupt() noexcept;
void check_interrupt();

}  // namespace nuri
