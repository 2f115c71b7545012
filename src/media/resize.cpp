#include "media/resize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/weighted_bytes.h"

namespace nuri {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int64_t kMaxWorkBytes = int64_t{4} << 30;

struct Filter {
  double (*weight)(double x);
  double support;
};

double box_weight(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double bilinear_weight(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

// The two constants are single precision in Pillow, which shows in the last bits.
double hamming_weight(double x) {
  x = std::fabs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
}

// Keys' cubic convolution with a = -0.5.
double bicubic_weight(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double lanczos_weight(double x) { return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

Filter filter_of(Resample resample) {
  switch (resample) {
    case Resample::lanczos:
      return {lanczos_weight, 3.0};
    case Resample::bilinear:
      return {bilinear_weight, 1.0};
    case Resample::bicubic:
      return {bicubic_weight, 2.0};
    case Resample::hamming:
      return {hamming_weight, 1.0};
    default:
      return {box_weight, 0.5};
  }
}

// For each output position of a range: the first input it reads, how many, and their fixed-point weights.
struct Taps {
  int64_t stride = 0;  // weights reserved for each output
  std::vector<int32_t> first, count, weights;

  const int32_t* weights_of(int64_t i) const { return weights.data() + i * stride; }
  int64_t begin() const { return first.front(); }
  int64_t end() const { return int64_t{first.back()} + count.back(); }
};

int32_t to_fixed(double weight, int bits) {
  return static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << bits)) * (1 << (kPrecisionBits - bits));
}

// The exact weights of one output after the other.
class ExactWeights {
 public:
  ExactWeights(int64_t in, int64_t out, const Filter& filter)
      : in_(in),
        scale_(static_cast<double>(static_cast<float>(in)) / static_cast<double>(out)),
        filter_(filter),
        filter_scale_(std::max(scale_, 1.0)),
        support_(filter.support * filter_scale_) {}

  int64_t stride() const { return static_cast<int64_t>(std::ceil(support_)) * 2 + 1; }
  // Of output i: the first input; those weights are then there.
  int64_t weigh(int64_t i) {
    values_.resize(static_cast<size_t>(stride()));
    double center = (static_cast<double>(i) + 0.5) * scale_, sum = 0.0, inverse_scale = 1.0 / filter_scale_;
    int64_t from = std::max<int64_t>(static_cast<int64_t>(center - support_ + 0.5), 0);
    count_ = std::min(static_cast<int64_t>(center + support_ + 0.5), in_) - from;
    for (int64_t k = 0; k < count_; ++k) {
      double offset = static_cast<double>(k + from) - center + 0.5;
      values_[k] = filter_.weight(offset * inverse_scale);
      sum += values_[k];
    }
    for (int64_t k = 0; k < count_ && sum != 0.0; ++k) values_[k] /= sum;
    return from;
  }
  std::span<const double> values() const { return {values_.data(), static_cast<size_t>(count_)}; }

 private:
  int64_t in_, count_ = 0;
  double scale_;
  Filter filter_;
  double filter_scale_, support_;
  std::vector<double> values_;
};

// As many as let the largest weight of `out` outputs stay below 2^15.
int bits_of_16(ExactWeights& exact, int64_t out) {
  double largest = 0;
  for (int64_t i = 0; i < out; ++i) {
    exact.weigh(i);
    for (double weight : exact.values()) largest = std::max(largest, weight);
  }
  int bits = 0;
  while (bits < kPrecisionBits && static_cast<int64_t>(0.5 + largest * (int64_t{2} << bits)) < (1 << 15)) ++bits;
  return bits;
}

// Taps for the outputs [start, start + length) of an axis that goes from `in` to `out` pixels.
Taps make_taps(int64_t in, int64_t out, int64_t start, int64_t length, const Filter& filter, ResizeStyle style) {
  ExactWeights exact(in, out, filter);
  Taps taps;
  taps.stride = exact.stride();
  if (taps.stride > kMaxWorkBytes / 4 / length)
    throw Error(ErrorKind::resource, fmt::format("resizing {} to {} pixels: the filter needs {} weights for each of {}",
                                                 in, out, taps.stride, length));
  int bits = style == ResizeStyle::pillow ? kPrecisionBits : bits_of_16(exact, out);
  taps.first.resize(static_cast<size_t>(length));
  taps.count.resize(static_cast<size_t>(length));
  taps.weights.resize(static_cast<size_t>(length * taps.stride));
  for (int64_t i = 0; i < length; ++i) {
    taps.first[i] = static_cast<int32_t>(exact.weigh(start + i));
    taps.count[i] = static_cast<int32_t>(exact.values().size());
    int32_t* weights = taps.weights.data() + i * taps.stride;
    for (double weight : exact.values()) *weights++ = to_fixed(weight, bits);
  }
  return taps;
}

// Between rows and a strip of them that lies column by column: `strip` has `lanes` bytes a column, of which
// `channels` belong to each row. In tiles, so that the strip stays in the cache.
template <bool into_strip, int channels, class RowOf>
void reorder_strip(RowOf row_of, int64_t height, int64_t columns, uint8_t* strip) {
  constexpr int64_t kTile = 64;
  int64_t lanes = height * channels;
  for (int64_t x0 = 0; x0 < columns; x0 += kTile)
    for (int64_t y = 0; y < height; ++y) {
      auto* row = row_of(y) + x0 * channels;
      uint8_t* lane = strip + x0 * lanes + y * channels;
      int64_t tile = std::min(kTile, columns - x0);
      for (int64_t x = 0; x < tile; ++x, lane += lanes)
        for (int c = 0; c < channels; ++c, ++row) {
          if constexpr (into_strip)
            lane[c] = *row;
          else
            *row = lane[c];
        }
    }
}

// Rows [begin, begin + rows) of `in`, resampled along x; its first column is column `origin` of what the taps
// count. Rows go through in strips laid out column by column, so that one weight meets many neighbouring bytes.
template <int channels>
Image resample_columns(const Image& in, const Taps& taps, int64_t origin, int64_t begin, int64_t rows) {
  constexpr int64_t kStrip = 32;
  int64_t width = static_cast<int64_t>(taps.first.size());
  int64_t first = taps.begin(), columns = taps.end() - first;
  Image out(width, rows, in.channels);
  int64_t strips = (rows + kStrip - 1) / kStrip;
  parallel_for(0, strips, 1, [&](int64_t strip_begin, int64_t strip_end) {
    std::vector<uint8_t> strip, result;
    for (int64_t s = strip_begin; s < strip_end; ++s) {
      int64_t y0 = s * kStrip, height = std::min(kStrip, rows - y0), lanes = height * channels;
      strip.resize(static_cast<size_t>(columns * lanes));
      result.resize(static_cast<size_t>(width * lanes));
      auto source = [&](int64_t y) { return in.row(begin + y0 + y) + (first - origin) * channels; };
      auto target = [&](int64_t y) { return out.row(y0 + y); };
      reorder_strip<true, channels>(source, height, columns, strip.data());
      for (int64_t x = 0; x < width; ++x)
        kernels::weighted_bytes(strip.data() + (taps.first[x] - first) * lanes, lanes, taps.weights_of(x),
                                taps.count[x], result.data() + x * lanes, lanes);
      reorder_strip<false, channels>(target, height, width, result.data());
    }
  });
  return out;
}

Image resample_columns(const Image& in, const Taps& taps, int64_t origin, int64_t begin, int64_t rows) {
  return in.channels == 3   ? resample_columns<3>(in, taps, origin, begin, rows)
         : in.channels == 4 ? resample_columns<4>(in, taps, origin, begin, rows)
                            : resample_columns<1>(in, taps, origin, begin, rows);
}

// Columns [begin, begin + columns) of `in`, resampled along y; its first row is row `origin` of what the taps count.
Image resample_rows(const Image& in, const Taps& taps, int64_t origin, int64_t begin, int64_t columns) {
  Image out(columns, static_cast<int64_t>(taps.first.size()), in.channels);
  int64_t stride = in.row_bytes(), length = out.row_bytes();
  parallel_for(0, out.height, std::max<int64_t>(1, 32768 / length), [&](int64_t y_begin, int64_t y_end) {
    for (int64_t y = y_begin; y < y_end; ++y)
      kernels::weighted_bytes(in.row(taps.first[y] - origin) + begin * in.channels, stride, taps.weights_of(y),
                              taps.count[y], out.row(y), length);
  });
  return out;
}

Image crop(const Image& image, const Rect& part) {
  Image out(part.width, part.height, image.channels);
  for (int64_t y = 0; y < part.height; ++y) {
    const uint8_t* from = image.row(part.top + y) + part.left * image.channels;
    std::copy(from, from + out.row_bytes(), out.row(y));
  }
  return out;
}

Image resize_nearest(const Image& image, int64_t width, int64_t height, const Rect& part) {
  // Positions are summed up, not multiplied out, as in Pillow: the rounding shows.
  auto positions = [](int64_t in, int64_t out, int64_t start, int64_t length) {
    double step = static_cast<double>(static_cast<float>(in)) / static_cast<double>(out), at = step * 0.5;
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < start + length; ++i, at += step)
      if (i >= start) chosen.push_back(std::min(static_cast<int64_t>(at), in - 1));
    return chosen;
  };
  auto columns = positions(image.width, width, part.left, part.width);
  auto rows = positions(image.height, height, part.top, part.height);
  Image out(part.width, part.height, image.channels);
  for (int64_t y = 0; y < part.height; ++y) {
    const uint8_t* from = image.row(rows[y]);
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < part.width; ++x)
      for (int c = 0; c < image.channels; ++c) *to++ = from[columns[x] * image.channels + c];
  }
  return out;
}

Image resize_filtered(const Image& image, int64_t width, int64_t height, Resample resample, const Rect& part,
                      ResizeStyle style) {
  Filter filter = filter_of(resample);
  Taps down = make_taps(image.height, height, part.top, part.height, filter, style);
  Taps across = make_taps(image.width, width, part.left, part.width, filter, style);
  if (height == image.height) return resample_columns(image, across, 0, part.top, part.height);
  if (width == image.width) return resample_rows(image, down, 0, part.left, part.width);
  // Since Pillow 13 the rows go first when the height shrinks by more than twice what the width does; the order shows
  // in the last bit.
  bool rows_first =
      style == ResizeStyle::pillow && image.height > height && image.height - height > 2 * (image.width - width);
  int64_t rows = rows_first ? part.height : down.end() - down.begin();
  int64_t columns = rows_first ? across.end() - across.begin() : part.width;
  if (rows > kMaxWorkBytes / (columns * image.channels))
    throw Error(ErrorKind::resource,
                fmt::format("resizing {}x{} to {}x{}: found {}x{} pixels between the two passes, "
                            "expected at most {} bytes",
                            image.width, image.height, width, height, columns, rows, kMaxWorkBytes));
  if (rows_first)
    return resample_columns(resample_rows(image, down, 0, across.begin(), columns), across, across.begin(), 0, rows);
  return resample_rows(resample_columns(image, across, 0, down.begin(), rows), down, down.begin(), 0, columns);
}

// Filters mix neighbours, so colours are weighted by their alpha meanwhile.
void premultiply(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4)
    for (int c = 0; c < 3; ++c) {
      int product = image.pixels[i + c] * image.pixels[i + 3] + 128;
      image.pixels[i + c] = static_cast<uint8_t>(((product >> 8) + product) >> 8);
    }
}

void unpremultiply(Image& image) {
  for (size_t i = 0; i < image.pixels.size(); i += 4) {
    int alpha = image.pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (int c = 0; c < 3; ++c)
      image.pixels[i + c] = static_cast<uint8_t>(std::min(255 * image.pixels[i + c] / alpha, 255));
  }
}

}  // namespace

Image resize(const Image& image, int64_t width, int64_t height, Resample filter, const std::optional<Rect>& part,
             ResizeStyle style) {
  constexpr int64_t kMaxSide = std::numeric_limits<int32_t>::max();
  if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide || image.width < 1 || image.height < 1)
    throw Error(ErrorKind::usage, fmt::format("resizing: found {}x{} to {}x{}, expected sizes from 1 to {}",
                                              image.width, image.height, width, height, kMaxSide));
  Rect wanted = part.value_or(Rect{0, 0, width, height});
  if (wanted.left < 0 || wanted.top < 0 || wanted.width < 1 || wanted.height < 1 ||
      wanted.width > width - wanted.left || wanted.height > height - wanted.top)
    throw Error(ErrorKind::usage, fmt::format("resizing: found the part {}x{} at ({}, {}), expected one inside {}x{}",
                                              wanted.width, wanted.height, wanted.left, wanted.top, width, height));
  if (wanted.height > kMaxWorkBytes / (wanted.width * image.channels))
    throw Error(ErrorKind::resource, fmt::format("resizing: found the size {}x{}, expected at most {} bytes",
                                                 wanted.width, wanted.height, kMaxWorkBytes));
  if (width == image.width && height == image.height) return crop(image, wanted);
  if (filter == Resample::nearest) return resize_nearest(image, width, height, wanted);
  if (image.channels != 4) return resize_filtered(image, width, height, filter, wanted, style);
  Image premultiplied = image;
  premultiply(premultiplied);
  Image resized = resize_filtered(premultiplied, width, height, filter, wanted, style);
  unpremultiply(resized);
  return resized;
}

}  // namespace nuri
