#include "formats/gguf_blocks.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace nuri {
namespace {

uint32_t word_at(const std::byte* from) {
  uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
}

uint16_t short_at(const std::byte* from) {
  uint16_t found;
  std::memcpy(&found, from, 2);
  return found;
}

int byte_at(const std::byte* from, int64_t i) { return std::to_integer<int>(from[i]); }

float half_at(const std::byte* from) {
  const uint32_t bits = short_at(from), sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 0x1F;
  const uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {  // a multiple of 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | mantissa << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

// The lower halves of `bytes` bytes, then the upper ones.
void unpack_nibbles(const std::byte* from, int64_t bytes, int8_t* codes) {
  for (int64_t i = 0; i < bytes; ++i) {
    codes[i] = static_cast<int8_t>(byte_at(from, i) & 0x0F);
    codes[bytes + i] = static_cast<int8_t>(byte_at(from, i) >> 4);
  }
}

// Pairs of bits of 32 bytes: the lowest of all of them first.
void unpack_pairs(const std::byte* from, int8_t* codes) {
  for (int64_t i = 0; i < 128; ++i) codes[i] = static_cast<int8_t>(byte_at(from, i % 32) >> (i / 32 * 2) & 3);
}

// Adds `weight` to code i where bit i / 32 of byte i % 32 is set.
void add_high_bits(const std::byte* from, int weight, std::array<int8_t, kMostBlockElements>& codes) {
  for (int64_t i = 0; i < kMostBlockElements; ++i)
    if ((byte_at(from, i % 32) >> (i / 32) & 1) != 0) codes[i] = static_cast<int8_t>(codes[i] + weight);
}

void shift(std::array<int8_t, kMostBlockElements>& codes, int64_t count, int by) {
  for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<int8_t>(codes[i] + by);
}

// Q4_0, Q4_1, Q5_0, Q5_1: scale, perhaps a least number, perhaps the fifth bits, 16 bytes of two codes each.
void unpack_simple(const std::byte* block, bool five, bool least, GgmlCodes& out) {
  out.unit = half_at(block);
  out.steps[0] = 1;
  block += 2;
  if (least) out.least[0] = half_at(block), block += 2;
  const uint32_t high = five ? word_at(block) : 0;
  unpack_nibbles(block + (five ? 4 : 0), 16, out.codes.data());
  for (int64_t i = 0; i < 32; ++i) out.codes[i] = static_cast<int8_t>(out.codes[i] | (high >> i & 1) << 4);
  if (!least) shift(out.codes, 32, five ? -16 : -8);
}

void unpack_q8_0(const std::byte* block, GgmlCodes& out) {
  out.unit = half_at(block);
  out.steps[0] = 1;
  std::memcpy(out.codes.data(), block + 2, 32);
}

void unpack_q2_k(const std::byte* block, GgmlCodes& out) {
  const float least = half_at(block + 82);
  out.unit = half_at(block + 80);
  for (int64_t i = 0; i < 16; ++i) {
    out.steps[i] = static_cast<int16_t>(byte_at(block, i) & 0x0F);
    out.least[i] = -(least * static_cast<float>(byte_at(block, i) >> 4));
  }
  for (int64_t half = 0; half < 2; ++half) unpack_pairs(block + 16 + half * 32, out.codes.data() + half * 128);
}

void unpack_q3_k(const std::byte* block, GgmlCodes& out) {
  const std::byte *pairs = block + 32, *scales = block + 96;
  out.unit = half_at(block + 108);
  for (int64_t i = 0; i < 16; ++i) {
    const int low = byte_at(scales, i % 8) >> (i / 8 * 4) & 0x0F, high = byte_at(scales, 8 + i % 4) >> (i / 4 * 2) & 3;
    out.steps[i] = static_cast<int16_t>((low | high << 4) - 32);
  }
  for (int64_t half = 0; half < 2; ++half) unpack_pairs(pairs + half * 32, out.codes.data() + half * 128);
  add_high_bits(block, 4, out.codes);
  shift(out.codes, 256, -4);
}

// The scales and least numbers of Q4_K and Q5_K, 6 bits each: 4 of both, the upper two bits of these belong to the last
// 4, whose lower ones follow.
void unpack_scales(const std::byte* block, GgmlCodes& out) {
  const std::byte* scales = block + 4;
  const float least = half_at(block + 2);
  out.unit = half_at(block);
  const auto low = [&](int64_t i, int64_t at, int shift) {
    const int own = byte_at(scales, at + i % 4);
    return i < 4 ? own & 0x3F : (byte_at(scales, 8 + i % 4) >> shift & 0x0F) | (own >> 2 & 0x30);
  };
  for (int64_t i = 0; i < 8; ++i) {
    out.steps[i] = static_cast<int16_t>(low(i, 0, 0));
    out.least[i] = -(least * static_cast<float>(low(i, 4, 4)));
  }
}

void unpack_q45_k(const std::byte* block, bool five, GgmlCodes& out) {
  unpack_scales(block, out);
  const std::byte* nibbles = block + 16 + (five ? 32 : 0);
  for (int64_t i = 0; i < 4; ++i) unpack_nibbles(nibbles + i * 32, 32, out.codes.data() + i * 64);
  if (five) add_high_bits(block + 16, 16, out.codes);
}

void unpack_q6_k(const std::byte* block, GgmlCodes& out) {
  out.unit = half_at(block + 208);
  for (int64_t i = 0; i < 16; ++i) out.steps[i] = static_cast<int8_t>(byte_at(block, 192 + i));
  for (int64_t half = 0; half < 2; ++half) {
    int8_t* const codes = out.codes.data() + half * 128;
    std::array<int8_t, 128> high;
    unpack_nibbles(block + half * 64, 64, codes);
    unpack_pairs(block + 128 + half * 32, high.data());
    for (int64_t i = 0; i < 128; ++i) codes[i] = static_cast<int8_t>((codes[i] | high[i] << 4) - 32);
  }
}

// Codes that stand for numbers further apart the greater they are.
void bend(std::array<int8_t, kMostBlockElements>& codes, int64_t count) {
  constexpr int8_t kValues[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  for (int64_t i = 0; i < count; ++i) codes[i] = kValues[codes[i]];
}

void unpack_iq4_nl(const std::byte* block, GgmlCodes& out) {
  out.unit = half_at(block);
  out.steps[0] = 1;
  unpack_nibbles(block + 2, 16, out.codes.data());
  bend(out.codes, 32);
}

void unpack_iq4_xs(const std::byte* block, GgmlCodes& out) {
  out.unit = half_at(block);
  const int high = short_at(block + 2);
  for (int64_t i = 0; i < 8; ++i) {
    const int low = byte_at(block, 4 + i / 2) >> (i % 2 * 4) & 0x0F;
    out.steps[i] = static_cast<int16_t>((low | (high >> (2 * i) & 3) << 4) - 32);
    unpack_nibbles(block + 8 + i * 16, 16, out.codes.data() + i * 32);
  }
  bend(out.codes, 256);
}

// Those that hold numbers, not codes; false for the others.
bool convert_numbers(GgmlType type, const std::byte* from, int64_t count, float* numbers) {
  switch (type) {
    case GgmlType::F32:
      std::memcpy(numbers, from, static_cast<size_t>(count) * 4);
      return true;
    case GgmlType::F16:
      for (int64_t i = 0; i < count; ++i) numbers[i] = half_at(from + i * 2);
      return true;
    case GgmlType::BF16:
      for (int64_t i = 0; i < count; ++i) numbers[i] = std::bit_cast<float>(uint32_t{short_at(from + i * 2)} << 16);
      return true;
    default:
      return false;
  }
}

}  // namespace

GgmlGroups groups_of(GgmlType type) {
  switch (type) {
    case GgmlType::Q4_1:
    case GgmlType::Q5_1:
    case GgmlType::Q4_K:
    case GgmlType::Q5_K:
      return {32, true};
    case GgmlType::Q2_K:
      return {16, true};
    case GgmlType::Q3_K:
    case GgmlType::Q6_K:
      return {16, false};
    default:
      return {32, false};
  }
}

void unpack_block(GgmlType type, const std::byte* block, GgmlCodes& codes) {
  switch (type) {
    case GgmlType::Q4_0:
    case GgmlType::Q4_1:
      return unpack_simple(block, false, type == GgmlType::Q4_1, codes);
    case GgmlType::Q5_0:
    case GgmlType::Q5_1:
      return unpack_simple(block, true, type == GgmlType::Q5_1, codes);
    case GgmlType::Q8_0:
      return unpack_q8_0(block, codes);
    case GgmlType::Q2_K:
      return unpack_q2_k(block, codes);
    case GgmlType::Q3_K:
      return unpack_q3_k(block, codes);
    case GgmlType::Q4_K:
    case GgmlType::Q5_K:
      return unpack_q45_k(block, type == GgmlType::Q5_K, codes);
    case GgmlType::Q6_K:
      return unpack_q6_k(block, codes);
    case GgmlType::IQ4_NL:
      return unpack_iq4_nl(block, codes);
    case GgmlType::IQ4_XS:
      return unpack_iq4_xs(block, codes);
    default:
      throw Error(ErrorKind::internal, "gguf: blocks of numbers have no codes");
  }
}

void dequantize_blocks(GgmlType type, const std::byte* blocks, int64_t count, float* numbers) {
  if (convert_numbers(type, blocks, count, numbers)) return;
  const GgmlBlock block = block_of(type);
  const GgmlGroups groups = groups_of(type);
  GgmlCodes codes;
  for (int64_t at = 0; at < count; at += block.elements, blocks += block.bytes) {
    unpack_block(type, blocks, codes);
    for (int64_t i = 0; i < block.elements; ++i) {
      const int64_t group = i / groups.size;
      const float scale = codes.unit * static_cast<float>(codes.steps[group]);
      const float product = scale * static_cast<float>(codes.codes[i]);
      numbers[at + i] = groups.has_least ? product + codes.least[group] : product;
    }
  }
}

}  // namespace nuri
