#include "kernels/isa/bytes_avx512.h"
#include "kernels/isa/jobs.h"

// AVX-512 with VNNI: all but the products of bytes is that of AVX-512.
#undef NURI_ISA_NAMESPACE
#define NURI_ISA_NAMESPACE vnni

namespace nuri::kernels::vnni {
namespace {

using namespace avx512;

inline Ints dot(Ints sum, Bytes codes, const int8_t* x) { return _mm512_dpbusd_epi32(sum, codes, four(x)); }
inline Ints dot_small(Ints sum, Bytes codes, const int8_t* x) { return dot(sum, codes, x); }

}  // namespace
}  // namespace nuri::kernels::vnni

#include "kernels/isa/quantized_product.inc"
#include "kernels/isa/quantized_slab.inc"
