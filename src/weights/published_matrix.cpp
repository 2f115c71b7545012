#include "weights/published_matrix.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "kernels/code_writer.h"
#include "kernels/convert.h"
#include "kernels/quantized.h"
#include "weights/packing.h"

namespace nuri {
namespace {

using kernels::Coding;
using kernels::kCodeGroup;
using kernels::kPanelRows;

// Rows that are unpacked at a time: so many that words which lie side by side in the file are read together.
constexpr int64_t kBlockRows = 8 * kPanelRows;

// Runs `body(first row, rows, codes)` over all blocks of rows, in parallel. The codes are a byte each, those of a row
// count_groups(k) * 32 with zeros behind column k.
template <class Body>
void for_blocks(const PublishedMatrix& matrix, const Body& body) {
  const int64_t stride = kernels::count_groups(matrix.k) * kCodeGroup;
  parallel_for(0, (matrix.n + kBlockRows - 1) / kBlockRows, 1, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> codes(static_cast<size_t>(kBlockRows * stride));
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kBlockRows, rows = std::min(kBlockRows, matrix.n - first);
      matrix.codes.unpack(first, first + rows, matrix.k, codes.data(), stride);
      body(first, rows, codes.data());
    }
  });
}

// The group of every 32 columns; nothing where 32 of them have several.
std::optional<std::vector<int32_t>> groups_of_blocks(const PublishedMatrix& matrix) {
  std::vector<int32_t> groups;
  for (auto from = matrix.group_of.begin(); from != matrix.group_of.end();) {
    const auto to = from + std::min<int64_t>(kCodeGroup, matrix.group_of.end() - from);
    if (std::any_of(from, to, [&](int32_t group) { return group != *from; })) return {};
    groups.push_back(*from);
    from = to;
  }
  return groups;
}

// Whether float16 holds each of them to 2^-11.
bool fit_half(const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<uint16_t> halves(values.size());
  std::vector<float> back(values.size());
  kernels::convert(values.data(), kernels::Element::float32, halves.data(), kernels::Element::float16, count);
  kernels::convert(halves.data(), kernels::Element::float16, back.data(), kernels::Element::float32, count);
  for (size_t i = 0; i < values.size(); ++i)
    if (!(std::abs(back[i] - values[i]) <= 0x1p-11f * std::abs(values[i]))) return false;
  return true;
}

float least_of(const PublishedMatrix& matrix, size_t i) {
  return -static_cast<float>(matrix.zeros[i]) * matrix.scales[i];
}

bool all_scales_fit(const PublishedMatrix& matrix, Coding coding) {
  if (!fit_half(matrix.scales)) return false;
  if (coding != Coding::int4_ranges) return true;
  std::vector<float> least(matrix.scales.size());
  for (size_t i = 0; i < least.size(); ++i) least[i] = least_of(matrix, i);
  return fit_half(least);
}

bool all_zeros_are(const PublishedMatrix& matrix, int offset) {
  return std::ranges::all_of(matrix.zeros, [&](uint8_t zero) { return zero == offset; });
}

// Whether 8 bits can be counted from 128 in place of their zeros.
bool all_shifted_fit(const PublishedMatrix& matrix) {
  std::atomic<bool> fit = true;
  const int64_t stride = kernels::count_groups(matrix.k) * kCodeGroup;
  for_blocks(matrix, [&](int64_t first, int64_t rows, const uint8_t* codes) {
    for (int64_t row = 0; row < rows && fit; ++row)
      for (int64_t column = 0; column < matrix.k; ++column) {
        const int zero = matrix.zeros[(first + row) * matrix.groups + matrix.group_of[column]];
        const int shifted = codes[row * stride + column] - zero + 128;
        if (shifted < 0 || shifted > 255) fit = false;
      }
  });
  return fit;
}

void shift_codes(const PublishedMatrix& matrix, int64_t row, uint8_t* codes) {
  for (int64_t column = 0; column < matrix.k; ++column)
    codes[column] =
        static_cast<uint8_t>(codes[column] - matrix.zeros[row * matrix.groups + matrix.group_of[column]] + 128);
}

}  // namespace

uint8_t PackedIntegers::at(int64_t row, int64_t column) const {
  const int64_t per = share(), within = (along == Along::columns ? column : row) % per;
  const int64_t word = along == Along::columns ? row * row_stride + column / per * column_stride
                                               : row / per * row_stride + column * column_stride;
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + word * word_bytes, static_cast<size_t>(word_bytes));
  return static_cast<uint8_t>((value >> (places[within] * bits) & ((1u << bits) - 1)) ^ flipped);
}

void PackedIntegers::unpack(int64_t begin, int64_t end, int64_t columns, uint8_t* to, int64_t stride) const {
  const int64_t per = share(), step = along == Along::columns ? per : 1, height = along == Along::rows ? per : 1;
  const uint32_t mask = (1u << bits) - 1;
  for (int64_t column = 0; column < columns; column += step)
    for (int64_t row = begin; row < end; row += height) {
      const int64_t word = row / height * row_stride + column / step * column_stride;
      uint32_t value = 0;
      std::memcpy(&value, bytes.data() + word * word_bytes, static_cast<size_t>(word_bytes));
      uint8_t* const first = to + (row - begin) * stride + column;
      const int64_t count = along == Along::columns ? std::min(per, columns - column) : std::min(per, end - row);
      const int64_t next = along == Along::columns ? 1 : stride;
      for (int64_t i = 0; i < count; ++i)
        first[i * next] = static_cast<uint8_t>((value >> (places[i] * bits) & mask) ^ flipped);
    }
}

std::optional<Coding> coding_of(const PublishedMatrix& matrix) {
  if (!groups_of_blocks(matrix)) return {};
  if (matrix.codes.bits == 4) {
    const Coding coding = all_zeros_are(matrix, 8) ? Coding::int4_groups : Coding::int4_ranges;
    return all_scales_fit(matrix, coding) ? std::optional(coding) : std::nullopt;
  }
  const Coding coding = matrix.groups == 1 ? Coding::int8_rows : Coding::int8_groups;
  if (coding == Coding::int8_groups && !all_scales_fit(matrix, coding)) return {};
  return all_zeros_are(matrix, 128) || all_shifted_fit(matrix) ? std::optional(coding) : std::nullopt;
}

at::Tensor packed_as(const PublishedMatrix& matrix, Coding coding) {
  const int64_t n = matrix.n, k = matrix.k;
  const std::vector<int32_t> group_of = groups_of_blocks(matrix).value();
  const auto blocks = static_cast<int64_t>(group_of.size());
  const bool shifted = !is_four_bits(coding) && !all_zeros_are(matrix, 128);
  at::Tensor packed = at::empty({kernels::quantized_bytes(coding, n, k)}, at::kByte);
  kernels::CodeWriter writer(coding, n, k, packed.mutable_data_ptr());
  for_blocks(matrix, [&](int64_t first, int64_t rows, uint8_t* codes) {
    for (int64_t row = first; row < first + rows; ++row) {
      uint8_t* const own = codes + (row - first) * blocks * kCodeGroup;
      if (shifted) shift_codes(matrix, row, own);
      for (int64_t block = 0; block < blocks; ++block) {
        const auto i = static_cast<size_t>(row * matrix.groups + group_of[block]);
        writer.set(row, block, own + block * kCodeGroup, matrix.scales[i], least_of(matrix, i));
      }
    }
  });
  return packed;
}

at::Tensor numbers_of(const PublishedMatrix& matrix, at::ScalarType dtype) {
  TORCH_INTERNAL_ASSERT(dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16);
  at::Tensor numbers = at::empty({matrix.n, matrix.k}, dtype);
  auto* const to = static_cast<std::byte*>(numbers.mutable_data_ptr());
  const int64_t k = matrix.k, stride = kernels::count_groups(k) * kCodeGroup;
  const auto row_bytes = k * static_cast<int64_t>(c10::elementSize(dtype));
  for_blocks(matrix, [&](int64_t first, int64_t rows, const uint8_t* codes) {
    std::vector<float> line(static_cast<size_t>(k)), rounded(line.size());
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t from = (first + row) * matrix.groups;
      for (int64_t column = 0; column < k; ++column) {
        const int64_t i = from + matrix.group_of[column];
        line[column] = static_cast<float>(codes[row * stride + column] - matrix.zeros[i]) * matrix.scales[i];
      }
      kernels::convert(line.data(), kernels::Element::float32, rounded.data(), element_of(matrix.type), k);
      kernels::convert(rounded.data(), element_of(matrix.type), line.data(), kernels::Element::float32, k);
      kernels::convert(line.data(), kernels::Element::float32, to + (first + row) * row_bytes, element_of(dtype), k);
    }
  });
  return numbers;
}

}  // namespace nuri
