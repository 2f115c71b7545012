#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx512.h"

#include "kernels/isa/rotation.inc"
