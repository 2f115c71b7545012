#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace nuri {

// 128 bits that stand for a text of bytes: SipHash-2-4 (Aumasson, Bernstein 2012) in its form of 128 bits. Its key is
// drawn anew in each process, so that nobody outside can make two contents that meet.
class Digest {
 public:
  using Value = std::array<uint64_t, 2>;

  Digest();
  explicit Digest(const Value& key);

  Digest& add(const void* bytes, std::size_t count);
  Digest& add(int64_t number) { return add(&number, sizeof number); }
  Digest& add(const Value& value) { return add(value.data(), sizeof value); }
  // Of all that was added, with no sign of the places where one addition ended.
  Value value() const;

 private:
  void take(uint64_t word);
  void rounds(int count);

  std::array<uint64_t, 4> state_;
  uint64_t rest_ = 0;  // the bytes that do not fill a word yet
  uint64_t count_ = 0;
};

}  // namespace nuri
