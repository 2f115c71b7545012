#pragma once

#include <string_view>
#include <vector>

namespace nuri::kernels {

// What this processor has and the operating system has switched on (CPUID leaves 1 and 7, XCR0).
struct CpuFeatures {
  bool avx2 = false;    // AVX2 with FMA and F16C
  bool avx512 = false;  // AVX-512 F, BW, DQ and VL, beside the above
  bool avx512_vnni = false;
  bool avx512_bf16 = false;  // products of bfloat16, beside the above
  bool amx_bf16 = false;     // matrix tiles with products of bfloat16, which Linux lets this process use
};
const CpuFeatures& cpu_features();

// The sets that kernels are compiled for, in rising order; each one contains those before it.
enum class Isa { scalar, avx2, avx512, avx512_vnni, avx512_bf16, amx };
std::string_view isa_name(Isa isa);
// Whether the set multiplies tiles of bfloat16 (tile_product.h, tile_attention.h).
inline bool has_tiles(Isa isa) { return isa >= Isa::avx512_bf16; }
std::vector<Isa> supported_isas(const CpuFeatures& features = cpu_features());

// The set named by `forced`, or the best one of `features` when `forced` is empty.
// Throws Error(usage) for an unknown name or a set that `features` lacks.
Isa choose_isa(const CpuFeatures& features, std::string_view forced);

// The set that all kernels use: choose_isa of this processor and the environment variable NURI_ISA, read once.
Isa active_isa();
// Replaces it (tests and benchmarks); throws Error(usage) when the processor lacks it.
void set_active_isa(Isa isa);

}  // namespace nuri::kernels
