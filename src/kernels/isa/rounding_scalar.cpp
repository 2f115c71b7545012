#include "kernels/isa/rounding.h"
#include "kernels/isa/vector_scalar.h"

#include "kernels/isa/rounding.inc"
