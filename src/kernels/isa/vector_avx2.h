#pragma once

#include <immintrin.h>

#include "kernels/isa/bits.h"

// The vector of the AVX2 set (with FMA and F16C). The functions mean what those of vector_scalar.h do.
#define NURI_ISA_NAMESPACE avx2
#if defined(__clang__)
#define NURI_UNROLL _Pragma("clang loop unroll(full)")
#else
#define NURI_UNROLL _Pragma("GCC unroll 8")
#endif

namespace nuri::kernels::avx2 {
namespace {

constexpr int kLanes = 8;
constexpr int kRegisters = 16;
constexpr int kMaxTileX = 8;

using Vec = __m256;

inline Vec broadcast(float value) { return _mm256_set1_ps(value); }
inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec round(Vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
template <int kDistance>
inline Vec swapped(Vec a) {
  if constexpr (kDistance == 4) return _mm256_permute2f128_ps(a, a, 1);
  return _mm256_permute_ps(a, kDistance == 1 ? 0xB1 : 0x4E);
}
inline Vec scale_by_power(Vec value, Vec n) {
  // A NaN in `n` converts to the sign bit alone, which the shift drops.
  const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), exponent));
}
inline Vec zero_where_less(Vec value, Vec x, Vec bound) {
  return _mm256_andnot_ps(_mm256_cmp_ps(x, bound, _CMP_LT_OQ), value);
}
inline float reduce_add(Vec a) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
inline float reduce_max(Vec a) {
  __m128 top = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  top = _mm_max_ps(top, _mm_movehl_ps(top, top));
  return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
}
inline Vec sum_of_four(Vec a, Vec b, Vec c, Vec d) {
  return _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
}
inline Vec join_sums(const Vec* fours) {
  return _mm256_add_ps(_mm256_permute2f128_ps(fours[0], fours[1], 0x20),
                       _mm256_permute2f128_ps(fours[0], fours[1], 0x31));
}

inline Vec load(Float32, const void* from) { return _mm256_loadu_ps(static_cast<const float*>(from)); }
inline Vec load(Float16, const void* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
}
inline Vec load(BFloat16, const void* from) {
  const __m128i half = _mm_loadu_si128(static_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
inline Vec load(Int8, const void* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(from))));
}
inline Vec load(UInt8, const void* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(from))));
}

inline void store(Float32, void* to, Vec a) { _mm256_storeu_ps(static_cast<float*>(to), a); }
inline void store(Float16, void* to, Vec a) {
  _mm_storeu_si128(static_cast<__m128i*>(to), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
inline void store(BFloat16, void* to, Vec a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i top = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
  const __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  const __m256i chosen = _mm256_blendv_epi8(rounded, quiet, nan);
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(chosen), _mm256_extracti128_si256(chosen, 1));
  _mm_storeu_si128(static_cast<__m128i*>(to), packed);
}
inline void store(Int8, void* to, Vec a) {
  const __m256i whole = _mm256_cvtps_epi32(a);
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  _mm_storel_epi64(static_cast<__m128i*>(to), _mm_packs_epi16(halves, halves));
}

template <class E>
inline Vec load_some(E type, const void* from, int64_t count) {
  alignas(32) unsigned char padded[kLanes * E::kBytes] = {};
  __builtin_memcpy(padded, from, static_cast<size_t>(count * E::kBytes));
  return load(type, padded);
}
template <class E>
inline void store_some(E type, void* to, Vec a, int64_t count) {
  alignas(32) unsigned char padded[kLanes * E::kBytes];
  store(type, padded, a);
  __builtin_memcpy(to, padded, static_cast<size_t>(count * E::kBytes));
}
inline void prefetch(const void* address) { _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0); }

}  // namespace
}  // namespace nuri::kernels::avx2
