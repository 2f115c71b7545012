#include "kernels/isa/tiles_amx.h"

#include "kernels/isa/tile_product.inc"
