#include "kernels/isa/jobs.h"
#include "kernels/isa/octet_avx512.h"

#include "kernels/isa/short_product.inc"
