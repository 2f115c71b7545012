#include <cmath>

#include "fuzz.h"
#include "text/place_notation.h"

// A model's answer, which may be any text. A place has finite numbers and corners in order; the unit of JSON numbers
// decides about nothing but that unit; text without a place in front moves none.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto places = parse_places(text), thousandths = parse_places(text, Place::Unit::thousandths);
  for (const Place& place : places) {
    if (!std::isfinite(place.x1 + place.y1 + place.x2 + place.y2)) fuzz::fail("found a place without a place");
    if (!place.point && (place.x2 < place.x1 || place.y2 < place.y1)) fuzz::fail("found a box with crossed corners");
    if (place.label.size() > size) fuzz::fail("found a label longer than the text");
  }
  if (thousandths.size() != places.size()) fuzz::fail("found other places with another unit");
  auto behind = parse_places("The answer: " + std::string(text));
  if (behind.size() != places.size()) fuzz::fail("found other places behind some words");
  for (size_t i = 0; i < places.size(); ++i) {
    if (thousandths[i].x1 != places[i].x1 || behind[i].x1 != places[i].x1 || behind[i].label != places[i].label)
      fuzz::fail("found another place the second time");
  }
  return 0;
}
