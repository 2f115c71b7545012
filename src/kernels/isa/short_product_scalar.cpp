#include "kernels/isa/bfloat12_octet.h"
#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_scalar.h"
// Behind it, since it needs the above.
#include "kernels/isa/short_pairs.inc"

namespace nuri::kernels::scalar {
namespace {

using Bases = const uint8_t*;
inline Bases bases_of(const uint8_t* greatest) { return greatest; }

using Octet = const uint8_t*;
inline Octet octet_at(const uint8_t* from) { return from; }

template <int kPair>
inline Pair pair_of(Octet octet, Bases greatest) {
  const auto column = [&](int odd) {
    return each([&](int row) {
      return widen(BFloat16{}, number_of(code_in_octet(octet, row, 2 * kPair + odd), greatest[row]));
    });
  };
  return {column(0), column(1)};
}

}  // namespace
}  // namespace nuri::kernels::scalar

#include "kernels/isa/short_product.inc"
