#pragma once

#include <cstdint>

namespace nuri::kernels {
namespace {

// What work to come will read: runs of bytes, each `stride` bytes behind the one before.
struct Runs {
  const void* first;
  int64_t count, bytes, stride;
};

// Fetches it to the second-level cache in so many steps of the work before. (To the first level it would push out what
// that work uses.)
class FetchAhead {
 public:
  FetchAhead(const Runs& runs, int64_t steps)
      : at_(static_cast<const char*>(runs.first)), runs_(runs), left_(runs.count > 0 ? runs.bytes : 0) {
    const int64_t lines = runs.count * ((runs.bytes + kLine - 1) / kLine);
    lines_a_step_ = (lines + steps - 1) / steps;
  }
  void step() {
    for (int64_t i = 0; i < lines_a_step_ && left_ > 0; ++i) {
      __builtin_prefetch(at_, 0, 2);
      at_ += kLine;
      left_ -= kLine;
      if (left_ <= 0 && --runs_.count > 0) {
        at_ = static_cast<const char*>(runs_.first) + runs_.stride;
        runs_.first = at_;
        left_ = runs_.bytes;
      }
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  const char* at_;
  Runs runs_;
  int64_t left_, lines_a_step_;
};

}  // namespace
}  // namespace nuri::kernels
