#include "kernels/isa/jobs.h"
#include "kernels/isa/pairs_avx512.h"

#include "kernels/isa/short_product.inc"
