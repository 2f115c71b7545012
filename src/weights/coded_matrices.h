#pragma once

#include <memory>
#include <optional>
#include <string>

#include "formats/safetensors.h"
#include "weights/weight_view.h"

namespace nuri {

// The matrices that a checkpoint stores in codes, by one of the methods that `quantization_config` of its config.json
// names. Several tensors of a file may make one matrix (codes, scales, zero points). What is asked of a matrix throws
// Error(format) that names the file, the tensor, what was found and what was expected.
class CodedMatrices {
 public:
  virtual ~CodedMatrices() = default;
  // Whether all tensors of the checkpoint have canonical names already.
  virtual bool has_canonical_names() const { return false; }
  // The published name of the matrix that a tensor of the file is a part of ("model.layers.0.mlp.up_proj.weight" for
  // "model.layers.0.mlp.up_proj.qweight"); nothing: it is a tensor of numbers.
  virtual std::optional<std::string> matrix_of(const std::string& tensor) const = 0;
  // The codes of that matrix [n, k]: a view of the file where they lie as kernels read them, else packed anew. Nothing:
  // kernels have no coding for them, and they are to be read as numbers.
  virtual std::optional<WeightStore::Codes> read(const std::string& matrix, int64_t n, int64_t k) const = 0;
  // The numbers [n, k] that the codes mean; without `dtype`, in the type of the scales.
  virtual at::Tensor numbers(const std::string& matrix, int64_t n, int64_t k,
                             std::optional<at::ScalarType> dtype) const;
  // Throws where the parts of the matrix [n, k] do not fit each other.
  virtual void check(const std::string& matrix, int64_t n, int64_t k) const {}
  // The memory that reading the matrix takes beside the file.
  virtual int64_t copied_bytes(const std::string& matrix, std::optional<at::ScalarType> dtype) const { return 0; }
  // What the numbers of the checkpoint are to be converted to where nobody says otherwise: tensors that are no codes
  // may have other types than the model.
  virtual std::optional<at::ScalarType> dtype() const { return {}; }
  // Whether a model may go without this tensor of numbers: as some writers put a bias of zeros behind every matrix.
  virtual bool is_idle(const TensorInfo& tensor) const { return false; }
};

// What the checkpoint's folder says of its codes; null: all are numbers. Throws Error(unsupported) for a method that is
// not known here.
std::unique_ptr<CodedMatrices> open_coded_matrices(std::shared_ptr<const Checkpoint> checkpoint);

}  // namespace nuri
