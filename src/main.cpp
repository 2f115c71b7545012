#include <cstdio>

#include "base/error.h"
#include "base/report.h"

#include "tasks/train.h"

namespace {
class Sink : public nuri::ReportSink {
  void warn(std::string_view line) override { std::fprintf(stderr, "%.*s\n", int(line.size()), line.data()); }
  void progress(std::string_view task, int64_t done, int64_t total, std::string_view detail) override {
    std::fprintf(stderr, "%.*s %ld/%ld %.*s\n", int(task.size()), task.data(), done, total, int(detail.size()), detail.data());
  }
};
}  // namespace

int main(int count, char** arguments) {
  Sink sink;
  nuri::set_report_sink(&sink);

  try {
    nuri::train({arguments[1]});
  } catch (const nuri::Error& error) {
    std::fprintf(stderr, "nuri: %s\n", error.what());
    return 1;
  }
}
