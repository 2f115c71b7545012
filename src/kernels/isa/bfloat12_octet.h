#pragma once

#include <cstdint>

#include "kernels/coding.h"

// Eight columns of a panel in bfloat12, four pairs of neighbours: [2][16 rows][4] low bytes, of pairs 2 i and 2 i + 1
// in the order even, even, odd, odd column; then a word of 32 bits a row with what the low bytes leave of the code of
// bfloat16, four bits a number. The code is bfloat16's with 4 bits for the exponent: sign in bit 15, exponent in bits 7
// to 10. Turned right by 4 i bits, the word has those of pair i in place, the even column's in its lower half.
namespace nuri::kernels {
namespace {

constexpr int kOctetColumns = 8, kOctetPairs = kOctetColumns / 2;
constexpr int64_t kOctetLow = kPanelRows * 4, kOctetBytes = 3 * kOctetLow;
constexpr uint32_t kLowBits = 0x00FF00FF, kHighBits = 0x87008700;
constexpr int kCodeExponent = 0x0780;  // of a code: none stands for an exponent of 0
constexpr int kLeastDistance = 14;     // of the greatest exponent from the one that is told as 1

[[maybe_unused]] inline uint16_t code_in_octet(const uint8_t* octet, int64_t row, int64_t column) {
  const int64_t pair = column / 2, odd = column % 2;
  uint32_t high;
  __builtin_memcpy(&high, octet + 2 * kOctetLow + row * 4, sizeof high);
  high = high >> 4 * pair | static_cast<uint32_t>(uint64_t{high} << (32 - 4 * pair));
  const uint8_t low = octet[pair / 2 * kOctetLow + row * 4 + odd * 2 + pair % 2];
  return static_cast<uint16_t>((high & kHighBits) >> 16 * odd | low);
}

// Where there was 0.
[[maybe_unused]] inline void put_in_octet(uint8_t* octet, int64_t row, int64_t column, uint16_t code) {
  const int64_t pair = column / 2, odd = column % 2;
  octet[pair / 2 * kOctetLow + row * 4 + odd * 2 + pair % 2] = static_cast<uint8_t>(code);
  const uint64_t bits = uint64_t{code & kHighBits & 0xFFFF} << (16 * odd + 4 * pair);
  uint8_t* const at = octet + 2 * kOctetLow + row * 4;
  uint32_t high;
  __builtin_memcpy(&high, at, sizeof high);
  high |= static_cast<uint32_t>(bits | bits >> 32);
  __builtin_memcpy(at, &high, sizeof high);
}

// The number of a code, beside a greatest exponent.
[[maybe_unused]] inline uint16_t number_of(uint16_t code, int greatest) {
  return static_cast<uint16_t>((code & kCodeExponent) ? code + ((greatest - kLeastDistance - 1) << 7) : code);
}
// And back, for an exponent of 0, or one that is that near.
[[maybe_unused]] inline uint16_t code_of(uint16_t number, int greatest) {
  return static_cast<uint16_t>((number & 0x7F80) ? number - ((greatest - kLeastDistance - 1) << 7) : number);
}

}  // namespace
}  // namespace nuri::kernels
