#include "fuzz.h"
#include "media/image.h"

// A picture in any of the formats; of what is accepted, the sizes and the pixels must agree.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  ImageLimits limits;
  limits.max_pixels = int64_t{1} << 20;  // so that an honest large picture costs no time
  limits.max_scans = 20;
  for (Alpha alpha : {Alpha::drop, Alpha::keep}) {
    fuzz::parse_or_error([&] {
      Image image = decode_image(std::as_bytes(std::span(data, size)), "input", limits, alpha);
      if (image.width <= 0 || image.height <= 0 || image.width * image.height > limits.max_pixels)
        fuzz::fail("found a picture beyond the limits");
      if (image.pixels.size() != static_cast<size_t>(image.height * image.row_bytes()))
        fuzz::fail("found a picture whose sizes and pixels disagree");
    });
  }
  return 0;
}
