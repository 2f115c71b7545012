// Precompiled for the floors that stand on torch. Never <torch/torch.h>: it takes 12 s a file.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "pch_plain.h"
