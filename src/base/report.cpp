#include "base/report.h"

#include <atomic>

#include "base/error.h"

namespace nuri {
namespace {

std::atomic<ReportSink*> sink{nullptr};
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

}  // namespace

void set_report_sink(ReportSink* chosen) { sink = chosen; }

void warn(std::string_view line) {
  if (auto* target = sink.load()) target->warn(line);
}

void report_progress(std::string_view task, int64_t done, int64_t total, std::string_view detail) {
  if (auto* target = sink.load()) target->progress(task, done, total, detail);
}

void request_interrupt() noexcept { interrupted = true; }
bool interrupt_requested() noexcept { return interrupted; }
void clear_interrupt() noexcept { interrupted = false; }

void check_interrupt() {
  if (interrupted) throw Error(ErrorKind::interrupted, "interrupted");
}

}  // namespace nuri
