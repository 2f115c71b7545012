#include "weights/gguf_codes.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "formats/gguf_blocks.h"
#include "kernels/code_writer.h"

namespace nuri {
namespace {

using kernels::CodeWriter;
using kernels::kCodeGroup;

// A group of 32 columns whose codes and scale are those of the block.
void copy_group(CodeWriter& writer, int64_t row, int64_t group, const int8_t* codes, int offset, float scale,
                float least) {
  uint8_t shifted[kCodeGroup];
  for (int64_t i = 0; i < kCodeGroup; ++i) shifted[i] = static_cast<uint8_t>(codes[i] + offset);
  writer.set(row, group, shifted, scale, least);
}

// A group of 32 columns with two scales of its 16: the integers code * steps, at most 4096, are codes where they fit
// into 8 bits (those of Q3_K always do), else they are rounded to the 127 steps of the greatest.
void join_halves(CodeWriter& writer, int64_t row, int64_t group, const int8_t* codes, const int16_t* steps,
                 float unit) {
  int whole[kCodeGroup], most = 0, least = 0;
  for (int64_t i = 0; i < kCodeGroup; ++i) {
    whole[i] = codes[i] * steps[i / 16];
    most = std::max(most, whole[i]), least = std::min(least, whole[i]);
  }
  uint8_t rounded[kCodeGroup];
  if (most <= 128 && least >= -127) {  // one code more lies below zero: the sign turns
    for (int64_t i = 0; i < kCodeGroup; ++i) rounded[i] = static_cast<uint8_t>(128 - whole[i]);
    writer.set(row, group, rounded, -unit);
    return;
  }
  const int greatest = std::max(most, -least);
  for (int64_t i = 0; i < kCodeGroup; ++i)
    rounded[i] =
        static_cast<uint8_t>(128 + std::lround(static_cast<double>(whole[i]) * 127 / static_cast<double>(greatest)));
  writer.set(row, group, rounded, unit * static_cast<float>(greatest) / 127);
}

}  // namespace

std::optional<kernels::Coding> coding_of(GgmlType type) {
  switch (type) {
    case GgmlType::Q4_0:
      return kernels::Coding::int4_groups;
    case GgmlType::Q4_1:
    case GgmlType::Q4_K:
      return kernels::Coding::int4_ranges;
    case GgmlType::Q5_0:
    case GgmlType::Q8_0:
    case GgmlType::Q3_K:
    case GgmlType::Q6_K:
    case GgmlType::IQ4_NL:
    case GgmlType::IQ4_XS:
      return kernels::Coding::int8_groups;
    default:
      return {};
  }
}

void pack_blocks(GgmlType type, int64_t n, int64_t k, const std::function<const std::byte*(int64_t)>& row,
                 void* packed) {
  const kernels::Coding coding = coding_of(type).value();
  const GgmlBlock block = block_of(type);
  const bool halves = groups_of(type).size == 16;
  const int64_t groups = block.elements / kCodeGroup;
  CodeWriter writer(coding, n, k, packed);
  parallel_for(0, n, std::max<int64_t>(1, 16384 / k), [&](int64_t begin, int64_t end) {
    GgmlCodes codes{};
    for (int64_t i = begin; i < end; ++i) {
      const std::byte* from = row(i);
      for (int64_t at = 0; at < k / block.elements; ++at, from += block.bytes) {
        unpack_block(type, from, codes);
        for (int64_t g = 0; g < groups; ++g) {
          const int8_t* const own = codes.codes.data() + g * kCodeGroup;
          if (halves)
            join_halves(writer, i, at * groups + g, own, codes.steps.data() + 2 * g, codes.unit);
          else
            copy_group(writer, i, at * groups + g, own, kernels::code_offset(coding),
                       codes.unit * static_cast<float>(codes.steps[g]), codes.least[g]);
        }
      }
    }
  });
}

}  // namespace nuri
