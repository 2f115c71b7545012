#include "kernels/isa/rounding.h"
#include "kernels/isa/vector_avx512.h"

#include "kernels/isa/rounding.inc"
