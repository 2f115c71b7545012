#include "media/orientation.h"

#include <optional>
#include <string_view>

#include "media/codecs.h"

namespace nuri {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShort = 3, kLong = 4, kSignedByte = 6, kSignedShort = 8, kSignedLong = 9;

// Bounds-checked reading of a TIFF structure in either byte order.
class TiffReader {
 public:
  TiffReader(std::string_view bytes, bool little_endian) : bytes_(bytes), little_endian_(little_endian) {}

  std::optional<uint64_t> read(uint64_t offset, int size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < static_cast<uint64_t>(size)) return {};
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) {
      auto byte = static_cast<uint8_t>(bytes_[offset + (little_endian_ ? size - 1 - i : i)]);
      value = value << 8 | byte;
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool little_endian_;
};

// The value of one directory entry of 12 bytes: tag, type, count, then the value or its offset.
std::optional<uint64_t> first_value(const TiffReader& tiff, uint64_t entry) {
  auto type = tiff.read(entry + 2, 2), count = tiff.read(entry + 4, 4);
  if (!type || !count || *count == 0) return {};
  int size = *type == kSignedByte                       ? 1
             : *type == kShort || *type == kSignedShort ? 2
             : *type == kLong || *type == kSignedLong   ? 4
                                                        : 0;
  if (size == 0) return {};
  if (*count * size <= 4) return tiff.read(entry + 8, size);
  auto offset = tiff.read(entry + 8, 4);
  return offset ? tiff.read(*offset, size) : std::nullopt;
}

std::optional<int> exif_orientation(std::string_view exif) {
  for (int i = 0; i < 2 && exif.starts_with(std::string_view("Exif\0\0", 6)); ++i) exif.remove_prefix(6);
  bool little_endian = exif.starts_with(std::string_view("II*\0", 4));
  if (!little_endian && !exif.starts_with(std::string_view("MM\0*", 4))) return {};
  TiffReader tiff(exif, little_endian);
  auto directory = tiff.read(4, 4);
  auto entries = directory ? tiff.read(*directory, 2) : std::nullopt;
  std::optional<int> found;
  for (uint64_t i = 0; entries && i < *entries; ++i) {
    uint64_t entry = *directory + 2 + 12 * i;
    auto tag = tiff.read(entry, 2);
    if (!tag) break;
    if (*tag != kOrientationTag) continue;
    if (auto value = first_value(tiff, entry)) found = *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
  }
  return found;
}

// tiff:Orientation="6" or <tiff:Orientation>6</tiff:Orientation>
std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (size_t at = xmp.find(kName); at != xmp.npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    if (rest.starts_with("=\""))
      rest.remove_prefix(2);
    else if (rest.starts_with(">"))
      rest.remove_prefix(1);
    else
      continue;
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return {};
}

template <int channels>
void copy_turned(const Image& from, Image& to, int orientation) {
  bool swapped = orientation >= 5;
  bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  // The source of target (x, y) is origin + x * step_x + y * step_y.
  int64_t row = from.row_bytes();
  int64_t along_x = flip_x ? -channels : channels, along_y = flip_y ? -row : row;
  const uint8_t* origin =
      from.pixels.data() + (flip_x ? (from.width - 1) * channels : 0) + (flip_y ? (from.height - 1) * row : 0);
  int64_t step_x = swapped ? along_y : along_x, step_y = swapped ? along_x : along_y;
  // Tiles keep both pictures in the cache when rows become columns.
  constexpr int64_t kTile = 64;
  for (int64_t y0 = 0; y0 < to.height; y0 += kTile)
    for (int64_t x0 = 0; x0 < to.width; x0 += kTile)
      for (int64_t y = y0; y < std::min(y0 + kTile, to.height); ++y) {
        const uint8_t* source = origin + x0 * step_x + y * step_y;
        uint8_t* target = to.row(y) + x0 * channels;
        for (int64_t x = x0; x < std::min(x0 + kTile, to.width); ++x, source += step_x)
          for (int c = 0; c < channels; ++c) *target++ = source[c];
      }
}

}  // namespace

int read_orientation(std::span<const std::byte> exif, std::span<const std::byte> xmp) {
  if (auto found = exif_orientation(as_text(exif))) return *found;
  int found = xmp_orientation(as_text(xmp)).value_or(1);
  return found >= 1 && found <= 8 ? found : 1;
}

Image apply_orientation(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  bool swapped = orientation >= 5;
  Image turned(swapped ? image.height : image.width, swapped ? image.width : image.height, image.channels);
  if (image.channels == 4)
    copy_turned<4>(image, turned, orientation);
  else if (image.channels == 3)
    copy_turned<3>(image, turned, orientation);
  else
    copy_turned<1>(image, turned, orientation);
  return turned;
}

}  // namespace nuri
