#include "train/emoji_world/background.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace nuri {
namespace {

float clamp_byte(float value) { return std::clamp(value, 0.0f, 255.0f); }

// A hue, saturation and value, mostly soft as walls, tables and skies are.
Colour random_colour(CounterRandom& random) {
  const double hue = random.uniform(0, 6), saturation = random.chance(0.2) ? 0 : std::pow(random.uniform(), 1.5) * 0.9;
  const double value = 1 - std::pow(random.uniform(), 1.3) * 0.95;
  Colour colour;
  for (int c = 0; c < 3; ++c) {
    const double k = std::fmod(5.0 - 2 * c + hue, 6.0);
    const double high = std::max(0.0, std::min({k, 4 - k, 1.0}));
    colour[c] = static_cast<float>(255 * value * (1 - saturation * high));
  }
  return colour;
}

float distance(const Colour& a, const Colour& b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

Colour colour_away_from(const std::vector<Colour>& avoid, CounterRandom& random) {
  Colour best{};
  float best_distance = -1;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Colour colour = random_colour(random);
    float nearest = 500;
    for (const Colour& other : avoid) nearest = std::min(nearest, distance(colour, other));
    if (nearest > best_distance) best = colour, best_distance = nearest;
  }
  return best;
}

Colour near_to(const Colour& colour, float spread, CounterRandom& random) {
  Colour other;
  for (int c = 0; c < 3; ++c) other[c] = clamp_byte(colour[c] + float(random.uniform(-spread, spread)));
  return other;
}

// Bytes from few random numbers.
class ByteNoise {
 public:
  explicit ByteNoise(CounterRandom& random) : random_(random) {}
  float next() {  // -1 to 1
    if (left_ == 0) bits_ = random_.next(), left_ = 8;
    const auto byte = static_cast<int>(bits_ & 255);
    bits_ >>= 8, --left_;
    return static_cast<float>(byte - 128) / 128.0f;
  }

 private:
  CounterRandom& random_;
  uint64_t bits_ = 0;
  int left_ = 0;
};

// Smooth noise in [0, 1]: random values on a lattice of `cell` pixels, smoothstep between them (Perlin's value noise).
void add_value_noise(std::vector<float>& field, int width, int height, double cell, float weight,
                     CounterRandom& random) {
  const int columns = static_cast<int>(width / cell) + 3, rows = static_cast<int>(height / cell) + 3;
  std::vector<float> lattice(size_t(columns) * rows);
  for (float& value : lattice) value = static_cast<float>(random.uniform());
  const double shift_x = random.uniform(), shift_y = random.uniform();
  std::vector<int> cells(width);
  std::vector<float> shares(width);
  auto smooth = [](double t) { return static_cast<float>(t * t * (3 - 2 * t)); };
  for (int x = 0; x < width; ++x) {
    const double at = x / cell + shift_x;
    cells[x] = static_cast<int>(at), shares[x] = smooth(at - cells[x]);
  }
  for (int y = 0; y < height; ++y) {
    const double at = y / cell + shift_y;
    const int row = static_cast<int>(at);
    const float down = smooth(at - row);
    const float* a = &lattice[size_t(row) * columns];
    const float* b = a + columns;
    for (int x = 0; x < width; ++x) {
      const int i = cells[x];
      const float top = a[i] + (a[i + 1] - a[i]) * shares[x], low = b[i] + (b[i + 1] - b[i]) * shares[x];
      field[size_t(y) * width + x] += weight * (top + (low - top) * down);
    }
  }
}

// Each kind of background is a field in [0, 1] between two colours.
std::vector<float> gradient_field(int width, int height, CounterRandom& random) {
  const double angle = random.uniform(0, 2 * std::numbers::pi), bend = random.uniform(0.6, 1.6);
  const double dx = std::cos(angle), dy = std::sin(angle), reach = (std::abs(dx) * width + std::abs(dy) * height) / 2;
  std::array<float, 257> curve;
  for (int i = 0; i <= 256; ++i) curve[i] = static_cast<float>(std::pow(i / 256.0, bend));
  std::vector<float> field(size_t(width) * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const double t = ((x - width / 2.0) * dx + (y - height / 2.0) * dy) / reach;
      field[size_t(y) * width + x] = curve[std::clamp(static_cast<int>((t + 1) * 128), 0, 256)];
    }
  }
  return field;
}

// Stripes, or checks when `both`; edges are one pixel soft.
std::vector<float> stripe_field(int width, int height, bool both, CounterRandom& random) {
  const double angle =
      random.chance(0.5) ? random.below(4) * std::numbers::pi / 4 : random.uniform(0, std::numbers::pi);
  const double period = random.uniform(0.05, 0.25) * width, width_share = both ? 0.5 : random.uniform(0.25, 0.75);
  const double phase_u = random.uniform(), phase_v = random.uniform();
  const double dx = std::cos(angle) / period, dy = std::sin(angle) / period;
  const auto edge = static_cast<float>(period);
  auto wave = [&](double t) {
    const double inside = t - std::floor(t);
    const double to_edge = std::min(inside, width_share - inside);  // negative outside
    const double around = std::max(to_edge, inside - 1);
    return std::clamp(static_cast<float>(around) * edge + 0.5f, 0.0f, 1.0f);
  };
  std::vector<float> field(size_t(width) * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      float value = wave(x * dx + y * dy + phase_u);
      if (both) {
        const float other = wave(-x * dy + y * dx + phase_v);
        value = value + other - 2 * value * other;
      }
      field[size_t(y) * width + x] = value;
    }
  }
  return field;
}

std::vector<float> blob_field(int width, int height, bool texture, CounterRandom& random) {
  std::vector<float> field(size_t(width) * height, 0.0f);
  if (!texture) {
    add_value_noise(field, width, height, random.uniform(0.15, 0.5) * width, 1.0f, random);
    return field;
  }
  double cell = random.uniform(0.06, 0.2) * width;
  float weight = 0.55f;
  for (int octave = 0; octave < 3; ++octave, cell = std::max(1.5, cell / 2.3), weight *= 0.5f) {
    add_value_noise(field, width, height, cell, weight, random);
  }
  return field;
}

void fill(Image& picture, const std::vector<float>& field, const Colour& from, const Colour& to, float noise,
          CounterRandom& random) {
  ByteNoise bytes(random);
  const size_t count = size_t(picture.width) * picture.height;
  for (size_t i = 0; i < count; ++i) {
    const float t = field.empty() ? 0.0f : field[i];
    const float shift = noise > 0 ? noise * bytes.next() : 0.0f;
    for (int c = 0; c < 3; ++c) {
      picture.pixels[3 * i + c] = static_cast<uint8_t>(clamp_byte(from[c] + (to[c] - from[c]) * t + shift + 0.5f));
    }
  }
}

}  // namespace

void paint_background(Image& picture, const std::vector<Colour>& avoid, CounterRandom& random) {
  const int width = static_cast<int>(picture.width), height = static_cast<int>(picture.height);
  const Colour first = colour_away_from(avoid, random);
  std::vector<float> field;
  Colour second = first;
  float noise = random.chance(0.3) ? static_cast<float>(random.uniform(2, 14)) : 0.0f;
  switch (random.below(8)) {
    case 0:
      break;  // flat
    case 1:
      noise = static_cast<float>(random.uniform(10, 45));
      break;
    case 2:
    case 3:
      field = gradient_field(width, height, random);
      second = random.chance(0.5) ? colour_away_from(avoid, random) : near_to(first, 80, random);
      break;
    case 4:
      field = stripe_field(width, height, false, random);
      second = near_to(first, 60, random);
      break;
    case 5:
      field = stripe_field(width, height, true, random);
      second = near_to(first, 50, random);
      break;
    case 6:
      field = blob_field(width, height, false, random);
      second = random.chance(0.5) ? colour_away_from(avoid, random) : near_to(first, 90, random);
      break;
    default:
      field = blob_field(width, height, true, random);
      second = near_to(first, 60, random);
  }
  fill(picture, field, first, second, noise, random);
}

}  // namespace nuri
