#pragma once

#if defined(__clang__)
#include <immintrin.h>
#else
// GCC 12 takes the undefined operand of its own unmasked intrinsics for a mistake.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "kernels/isa/bits.h"

// The vector of the AVX-512 set (F, BW, DQ, VL). The functions mean what those of vector_scalar.h do.
#define NURI_ISA_NAMESPACE avx512
#if defined(__clang__)
#define NURI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define NURI_UNROLL _Pragma("GCC unroll 8")
#endif

namespace nuri::kernels::avx512 {
namespace {

constexpr int kLanes = 16;
constexpr int kRegisters = 32;
constexpr int kMaxTileX = 8;

using Vec = __m512;

inline Vec broadcast(float value) { return _mm512_set1_ps(value); }
inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec round(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
template <int kDistance>
inline Vec swapped(Vec a) {
  if constexpr (kDistance >= 4) return _mm512_shuffle_f32x4(a, a, kDistance == 4 ? 0xB1 : 0x4E);
  return _mm512_permute_ps(a, kDistance == 1 ? 0xB1 : 0x4E);
}
inline Vec scale_by_power(Vec value, Vec n) { return _mm512_scalef_ps(value, n); }
inline Vec zero_where_less(Vec value, Vec x, Vec bound) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, bound, _CMP_NLT_UQ), value);
}
inline float reduce_add(Vec a) { return _mm512_reduce_add_ps(a); }
inline float reduce_max(Vec a) { return _mm512_reduce_max_ps(a); }
inline Vec sum_of_four(Vec a, Vec b, Vec c, Vec d) {
  const Vec ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const Vec cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  return _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
}
inline Vec join_sums(const Vec* fours) {
  const auto halves = [](Vec a, Vec b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
  };
  const Vec low = halves(fours[0], fours[1]), high = halves(fours[2], fours[3]);
  return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xDD));
}

inline __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }

inline Vec widen_bf16(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }
inline __m256i narrow_bf16(Vec a) {
  const __m512i bits = _mm512_castps_si512(a);
  const __m512i top = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_mask_or_epi32(rounded, nan, top, _mm512_set1_epi32(0x40)));
}

inline Vec load(Float32, const void* from) { return _mm512_loadu_ps(from); }
inline Vec load(Float16, const void* from) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from)); }
inline Vec load(BFloat16, const void* from) { return widen_bf16(_mm256_loadu_si256((const __m256i*)from)); }
inline Vec load(Int8, const void* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)from)));
}
inline Vec load(UInt8, const void* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)from)));
}

inline Vec load_some(Float32, const void* from, int64_t count) { return _mm512_maskz_loadu_ps(first(count), from); }
inline Vec load_some(Float16, const void* from, int64_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(count), from));
}
inline Vec load_some(BFloat16, const void* from, int64_t count) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first(count), from));
}
inline Vec load_some(Int8, const void* from, int64_t count) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(count), from)));
}

inline void store(Float32, void* to, Vec a) { _mm512_storeu_ps(to, a); }
inline void store(Float16, void* to, Vec a) {
  _mm256_storeu_si256((__m256i*)to, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
inline void store(BFloat16, void* to, Vec a) { _mm256_storeu_si256((__m256i*)to, narrow_bf16(a)); }
inline __m128i narrow_int8(Vec a) { return _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)); }
inline void store(Int8, void* to, Vec a) { _mm_storeu_si128((__m128i*)to, narrow_int8(a)); }

inline void store_some(Float32, void* to, Vec a, int64_t count) { _mm512_mask_storeu_ps(to, first(count), a); }
inline void store_some(Float16, void* to, Vec a, int64_t count) {
  _mm256_mask_storeu_epi16(to, first(count), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
inline void store_some(BFloat16, void* to, Vec a, int64_t count) {
  _mm256_mask_storeu_epi16(to, first(count), narrow_bf16(a));
}
inline void store_some(Int8, void* to, Vec a, int64_t count) { _mm_mask_storeu_epi8(to, first(count), narrow_int8(a)); }
inline void prefetch(const void* address) { _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0); }

}  // namespace
}  // namespace nuri::kernels::avx512
