#pragma once

#include <memory>
#include <vector>

#include "base/config_reader.h"
#include "weights/coded_matrices.h"

namespace nuri {

// Folders that hold matrices in codes as kernels read them (kernels/coding.h), so that they are used where the file is
// mapped: what `nuri quantize` writes. Each is a tensor of bytes under the matrix's canonical name, and
// `quantization_config` in config.json says what the bytes mean:
//
//   {"quant_method": "nuri", "version": 1,
//    "matrices": [{"coding": "int4_steps", "dtype": "bfloat16", "shapes": {"model.layers.0.mlp.up_proj.weight":
//                  [8192, 2048], ...}}, ...]}
//
// `dtype`: of the numbers that codes stand for, which is the type of the model's other weights.
struct PackedMatrix {
  std::string name;
  kernels::Coding coding;
  at::ScalarType dtype;
  int64_t n, k;
};

// That object for these matrices.
Json packed_config(const std::vector<PackedMatrix>& matrices);

// The matrices that `quantization` (of config.json) lists, all of which the checkpoint has to hold in as many bytes as
// their codes take. Throws Error(unsupported) for a version, a coding or a type that is not known, Error(format) for
// what does not fit.
std::unique_ptr<CodedMatrices> open_packed_folder(std::shared_ptr<const Checkpoint> checkpoint,
                                                  const ConfigReader& quantization);

}  // namespace nuri
