#include "kernels/isa/tiles_bf16.h"

#include "kernels/isa/tile_product.inc"
