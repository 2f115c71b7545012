#include "kernels/cpu.h"

#include <cpuid.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"

namespace nuri::kernels {
namespace {

uint64_t enabled_register_state() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

// A process asks for the tiles' registers, which are large, once (Documentation/arch/x86/xstate.rst of Linux).
bool may_use_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

CpuFeatures detect() {
  CpuFeatures found;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const uint32_t basic = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
  if ((c & basic) != basic) return found;
  const uint64_t state = enabled_register_state();
  const uint64_t ymm = 0x06, zmm = 0xE6;
  if ((state & ymm) != ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = b & bit_AVX2;
  const uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  found.avx512 = found.avx2 && (b & wide) == wide && (state & zmm) == zmm;
  found.avx512_vnni = found.avx512 && (c & bit_AVX512VNNI);
  const uint32_t tiles = 1u << 22 | 1u << 24 | 1u << 25;  // AMX-BF16, AMX-TILE, AMX-INT8
  const uint64_t tile_state = 3u << 17;
  const bool tiles_on = (d & tiles) == tiles && (state & tile_state) == tile_state;
  uint32_t sub = 0;
  if (found.avx512_vnni && __get_cpuid_count(7, 1, &sub, &b, &c, &d)) found.avx512_bf16 = sub & bit_AVX512BF16;
  found.amx_bf16 = found.avx512_bf16 && tiles_on && may_use_tiles();
  return found;
}

std::vector<std::string_view> names(const std::vector<Isa>& isas) {
  std::vector<std::string_view> result;
  for (Isa isa : isas) result.push_back(isa_name(isa));
  return result;
}

std::atomic<int> active{-1};

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_vnni:
      return "avx512_vnni";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::amx:
      return "amx";
  }
  throw Error(ErrorKind::internal, "isa_name: unknown instruction set");
}

std::vector<Isa> supported_isas(const CpuFeatures& features) {
  std::vector<Isa> isas{Isa::scalar};
  if (features.avx2) isas.push_back(Isa::avx2);
  if (features.avx512) isas.push_back(Isa::avx512);
  if (features.avx512_vnni) isas.push_back(Isa::avx512_vnni);
  if (features.avx512_bf16) isas.push_back(Isa::avx512_bf16);
  if (features.amx_bf16) isas.push_back(Isa::amx);
  return isas;
}

Isa choose_isa(const CpuFeatures& features, std::string_view forced) {
  const std::vector<Isa> isas = supported_isas(features);
  if (forced.empty()) return isas.back();
  for (Isa isa : isas) {
    if (isa_name(isa) == forced) return isa;
  }
  throw Error(ErrorKind::usage, fmt::format("NURI_ISA: found \"{}\", expected one that this processor has: {}", forced,
                                            fmt::join(names(isas), ", ")));
}

Isa active_isa() {
  int isa = active.load(std::memory_order_relaxed);
  if (isa < 0) {
    const char* forced = std::getenv("NURI_ISA");
    isa = static_cast<int>(choose_isa(cpu_features(), forced ? forced : ""));
    active.store(isa, std::memory_order_relaxed);
  }
  return static_cast<Isa>(isa);
}

void set_active_isa(Isa isa) {
  active.store(static_cast<int>(choose_isa(cpu_features(), isa_name(isa))), std::memory_order_relaxed);
}

}  // namespace nuri::kernels
