#include "media/resize_float.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"

namespace nuri {
namespace {

// What one output place reads: weights of the inputs from `first` on.
struct Window {
  int64_t first;
  std::vector<float> weights;
};

// Each step is rounded where torch rounds it (UpSampleKernel.cpp), so that ties fall the same way.
std::vector<Window> windows_of(int64_t in, int64_t out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out), support = std::max(scale, 1.0f);
  const float inverse = scale >= 1 ? 1.0f / scale : 1.0f;
  std::vector<Window> windows;
  for (int64_t i = 0; i < out; ++i) {
    const auto centre = static_cast<float>(scale * (static_cast<double>(i) + 0.5));
    const auto first = std::max(static_cast<int64_t>(static_cast<double>(centre - support) + 0.5), int64_t{0});
    const auto end = std::min(static_cast<int64_t>(static_cast<double>(centre + support) + 0.5), in);
    Window window{first, {}};
    float total = 0;
    for (int64_t j = first; j < end; ++j) {
      const double distance = (static_cast<double>(static_cast<float>(j) - centre) + 0.5) * inverse;
      const float near = std::abs(static_cast<float>(distance));
      window.weights.push_back(near < 1 ? static_cast<float>(1.0 - near) : 0.0f);
      total += window.weights.back();
    }
    for (float& weight : window.weights) weight = total != 0 ? weight / total : weight;
    windows.push_back(std::move(window));
  }
  return windows;
}

// The weighted sum of values `step` apart, rounded as the loop of torch's build does it: products by four and their
// sums each, what is left over with product and sum in one.
template <class T>
float weighted_sum(const T* values, int64_t step, const std::vector<float>& weights) {
  const size_t count = weights.size();
  auto product = [&](size_t j) { return static_cast<float>(values[static_cast<int64_t>(j) * step]) * weights[j]; };
  float sum = count > 0 ? product(0) : 0.0f;
  size_t j = 1;
  for (; j + 4 <= count; j += 4)
    for (size_t i = j; i < j + 4; ++i) sum += product(i);
  for (; j < count; ++j)
    sum = static_cast<float>(static_cast<double>(sum) + static_cast<double>(values[static_cast<int64_t>(j) * step]) *
                                                            static_cast<double>(weights[j]));
  return sum;
}

constexpr int64_t kGrain = 8;  // rows

// [height, width, c] of bytes -> [height, out, c]
std::vector<float> across(const Image& image, int64_t out) {
  const int64_t channels = image.channels;
  const auto windows = windows_of(image.width, out);
  std::vector<float> made(static_cast<size_t>(image.height * out * channels));
  parallel_for(0, image.height, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      float* to = made.data() + y * out * channels;
      for (const auto& [first, weights] : windows)
        for (int64_t c = 0; c < channels; ++c, ++to)
          *to = weighted_sum(image.row(y) + first * channels + c, channels, weights);
    }
  });
  return made;
}

}  // namespace

Image resize_bilinear_float(const Image& image, int64_t width, int64_t height) {
  if (width < 1 || height < 1 || image.width < 1 || image.height < 1)
    throw Error(ErrorKind::usage, fmt::format("resize: found {}x{} to {}x{}, expected at least one pixel", image.width,
                                              image.height, width, height));
  if (width == image.width && height == image.height) return image;
  const std::vector<float> rows = across(image, width);
  const auto windows = windows_of(image.height, height);
  Image made(width, height, image.channels);
  const int64_t row_values = width * image.channels;
  parallel_for(0, height, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const auto& [first, weights] = windows[static_cast<size_t>(y)];
      for (int64_t i = 0; i < row_values; ++i) {
        const float value = weighted_sum(rows.data() + first * row_values + i, row_values, weights);
        made.row(y)[i] = static_cast<uint8_t>(std::clamp(std::nearbyint(value), 0.0f, 255.0f));
      }
    }
  });
  return made;
}

}  // namespace nuri
