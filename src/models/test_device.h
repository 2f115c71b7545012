#pragma once

#include <ATen/Context.h>

#include <cstdlib>

#include "base/error.h"

// What tests share.
namespace nuri {

// Where the parity tests run: NURI_TEST_DEVICE, cpu or cuda; cpu where it is not set. Products and convolutions of
// float32 are then made in float32 on a GPU too.
inline at::Device test_device() {
  const char* set = std::getenv("NURI_TEST_DEVICE");
  const std::string name = set == nullptr ? "cpu" : set;
  if (name == "cpu") return at::kCPU;
  if (name != "cuda") throw Error(ErrorKind::usage, "NURI_TEST_DEVICE: found " + name + ", expected cpu or cuda");
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  return at::kCUDA;
}

}  // namespace nuri
