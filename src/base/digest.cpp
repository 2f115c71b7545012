#include "base/digest.h"

#include <bit>
#include <cstring>
#include <random>
#include <utility>

namespace nuri {
namespace {

Digest::Value key_of_this_process() {
  std::random_device device;
  auto word = [&] { return (static_cast<uint64_t>(device()) << 32) ^ device(); };
  return {word(), word()};
}

}  // namespace

Digest::Digest()
    : Digest([] {
        static const Value key = key_of_this_process();
        return key;
      }()) {}

Digest::Digest(const Value& key)
    : state_{key[0] ^ 0x736F6D6570736575u, key[1] ^ 0x646F72616E646F6Du ^ 0xEE, key[0] ^ 0x6C7967656E657261u,
             key[1] ^ 0x7465646279746573u} {}

void Digest::rounds(int count) {
  auto& [a, b, c, d] = state_;
  for (int i = 0; i < count; ++i) {
    a += b, c += d;
    b = std::rotl(b, 13) ^ a, d = std::rotl(d, 16) ^ c;
    a = std::rotl(a, 32);
    c += b, a += d;
    b = std::rotl(b, 17) ^ c, d = std::rotl(d, 21) ^ a;
    c = std::rotl(c, 32);
  }
}

void Digest::take(uint64_t word) {
  state_[3] ^= word;
  rounds(2);
  state_[0] ^= word;
}

Digest& Digest::add(const void* bytes, std::size_t count) {
  const auto* from = static_cast<const unsigned char*>(bytes);
  for (; count > 0 && count_ % 8 != 0; --count, ++from) {
    rest_ |= uint64_t{*from} << (8 * (count_ % 8));
    if (++count_ % 8 == 0) take(std::exchange(rest_, 0));
  }
  for (; count >= 8; count -= 8, from += 8, count_ += 8) {
    uint64_t word;
    std::memcpy(&word, from, 8);
    take(word);
  }
  for (; count > 0; --count, ++from, ++count_) rest_ |= uint64_t{*from} << (8 * (count_ % 8));
  return *this;
}

Digest::Value Digest::value() const {
  Digest end = *this;
  end.take(rest_ | count_ << 56);
  end.state_[2] ^= 0xEE;
  end.rounds(4);
  auto folded = [&] { return end.state_[0] ^ end.state_[1] ^ end.state_[2] ^ end.state_[3]; };
  Value value{folded(), 0};
  end.state_[1] ^= 0xDD;
  end.rounds(4);
  value[1] = folded();
  return value;
}

}  // namespace nuri
