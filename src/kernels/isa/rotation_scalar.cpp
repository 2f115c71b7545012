#include "kernels/isa/jobs.h"
#include "kernels/isa/vector_scalar.h"

#include "kernels/isa/rotation.inc"
