#include "kernels/isa/rounding.h"
#include "kernels/isa/vector_avx2.h"

#include "kernels/isa/rounding.inc"
