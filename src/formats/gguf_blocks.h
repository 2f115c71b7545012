#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "formats/gguf.h"

namespace nuri {

constexpr int64_t kMostBlockElements = 256;

// One block of a quantised type, taken apart: number i is code i * scale + least, where scale = unit * steps (one
// rounding of float32 each), and steps and least are those of its group.
struct GgmlCodes {
  std::array<int8_t, kMostBlockElements> codes;
  float unit;
  std::array<int16_t, 16> steps;  // 1 where a type has no scales within its blocks
  std::array<float, 16> least;    // of types that have one
};

// What all blocks of a type have in common.
struct GgmlGroups {
  int64_t size;    // neighbours that share a scale
  bool has_least;  // otherwise nothing is added, not even 0
};
GgmlGroups groups_of(GgmlType type);

// Takes apart one block of block_of(type).bytes, of a type that is quantised.
// Source: dequantize_row_* of ggml-quants.c, https://github.com/ggml-org/llama.cpp
void unpack_block(GgmlType type, const std::byte* block, GgmlCodes& codes);

// The numbers that `count` elements mean, whole blocks of any type, at any address. Equal to those of the Python
// package `gguf` (gguf.quants.dequantize) to the bit.
void dequantize_blocks(GgmlType type, const std::byte* blocks, int64_t count, float* numbers);

}  // namespace nuri
