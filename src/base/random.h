#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace nuri {

// Random numbers from a counter: the n-th number of a stream is a pure function of (seed, stream, n), so
// results depend on neither the order of work nor on what else runs, and a state is three integers.
// The function is SplitMix64's finaliser over a Weyl sequence (Steele, Lea, Flood 2014).
class CounterRandom {
 public:
  explicit CounterRandom(uint64_t seed, uint64_t stream = 0, uint64_t counter = 0)
      : key_(mix(seed + 0x9E3779B97F4A7C15u) ^ mix(stream * 0xD1342543DE82EF95u + 0x2545F4914F6CDD1Du)),
        counter_(counter) {}

  uint64_t next() { return mix(key_ + 0x9E3779B97F4A7C15u * ++counter_); }
  // In [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // In [0, count), count > 0, without bias worth naming (Lemire's product).
  uint64_t below(uint64_t count) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * count) >> 64);
  }
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(below(uint64_t(high - low) + 1)); }
  bool chance(double probability) { return uniform() < probability; }
  // Normal(0, 1), Box-Muller.
  double normal();

  template <class Sequence>
  void shuffle(Sequence& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

  uint64_t counter() const { return counter_; }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t key_;
  uint64_t counter_;
};

}  // namespace nuri
