#include <cmath>

#include "fuzz.h"
#include "text/moment_notation.h"

// A model's answer about a video, which may be any text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  for (const Moment& moment : parse_moments({reinterpret_cast<const char*>(data), size})) {
    if (!std::isfinite(moment.end) || moment.start < 0 || moment.end < moment.start)
      fuzz::fail("found a moment that ends before it begins");
    if (moment.label.size() > size) fuzz::fail("found a label longer than the text");
  }
  return 0;
}
