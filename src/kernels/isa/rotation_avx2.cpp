#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_avx2.h"

#include "kernels/isa/rotation.inc"
