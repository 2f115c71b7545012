#pragma once

#include "kernels/cpu.h"
#include "kernels/isa/jobs.h"

// The function of the active instruction set: NURI_KERNEL(few_rows)(job, begin, end).
#define NURI_KERNEL(function)                                                                        \
  (::nuri::kernels::active_isa() >= ::nuri::kernels::Isa::avx512 ? ::nuri::kernels::avx512::function \
   : ::nuri::kernels::active_isa() == ::nuri::kernels::Isa::avx2 ? ::nuri::kernels::avx2::function   \
                                                                 : ::nuri::kernels::scalar::function)

// Likewise of the sets with tiles, where has_tiles(active_isa()).
#define NURI_TILE_KERNEL(function)                                                             \
  (::nuri::kernels::active_isa() == ::nuri::kernels::Isa::amx ? ::nuri::kernels::amx::function \
                                                              : ::nuri::kernels::bf16::function)
