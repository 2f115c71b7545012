#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "base/config_reader.h"
#include "weights/coded_matrices.h"
#include "weights/published_matrix.h"

namespace nuri {

// What the readers of published methods share: they tell where the parts of a matrix lie (`open`), the rest follows.
class PublishedMatrices : public CodedMatrices {
 public:
  // `config`: the folder's config.json, which may name the type of the model's numbers.
  PublishedMatrices(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config);

  std::optional<WeightStore::Codes> read(const std::string& matrix, int64_t n, int64_t k) const override;
  at::Tensor numbers(const std::string& matrix, int64_t n, int64_t k,
                     std::optional<at::ScalarType> dtype) const override;
  void check(const std::string& matrix, int64_t n, int64_t k) const override { open(matrix, n, k); }
  int64_t copied_bytes(const std::string& matrix, std::optional<at::ScalarType> dtype) const override;
  std::optional<at::ScalarType> dtype() const override { return dtype_; }

 protected:
  struct Size {
    int64_t n, k;
  };
  // The parts of the matrix, each checked against [n, k].
  virtual PublishedMatrix open(const std::string& matrix, int64_t n, int64_t k) const = 0;
  // [n, k] as its codes tell; k may be a little more where the last word is not full.
  virtual Size size_of(const std::string& matrix) const = 0;

  // "module.suffix", where a tensor of the module is named `tensor`; nothing if it ends in none of `suffixes`.
  static std::optional<std::string> module_of(std::string_view tensor,
                                              std::initializer_list<std::string_view> suffixes);
  const TensorInfo* find(const std::string& name) const { return checkpoint_->find(name); }
  const TensorInfo& required(const std::string& name) const;
  // The tensor's bytes, once it is of one of these types and of this shape.
  std::span<const std::byte> bytes_of(const TensorInfo& tensor, std::initializer_list<DType> types,
                                      std::initializer_list<int64_t> shape) const;
  std::span<const std::byte> bytes_of(const TensorInfo& tensor) const { return checkpoint_->data(tensor); }
  static void read_zeros(const PackedIntegers& zeros, PublishedMatrix& matrix);
  // The scales of [n, groups], which lie as `shape`, at row * strides[0] + group * strides[1].
  void read_scales(const TensorInfo& tensor, std::initializer_list<int64_t> shape, std::array<int64_t, 2> strides,
                   PublishedMatrix& matrix) const;
  // Every column's group, counted in groups of `group_size` or, where the tensor is there, as it tells.
  void read_groups(const TensorInfo* order, int64_t group_size, PublishedMatrix& matrix) const;
  // The two sizes of a tensor of two dimensions.
  std::array<int64_t, 2> sizes_of(const TensorInfo& tensor) const;
  [[noreturn]] void refuse(const TensorInfo& tensor, std::string_view found, std::string_view expected) const;

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::optional<at::ScalarType> dtype_;
};

// How many groups of `size` so many columns make; the last one may have fewer.
constexpr int64_t count_parts(int64_t count, int64_t size) { return (count + size - 1) / size; }

std::unique_ptr<CodedMatrices> open_gptq(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config,
                                         const ConfigReader& method);
std::unique_ptr<CodedMatrices> open_awq(std::shared_ptr<const Checkpoint> checkpoint, const ConfigReader& config,
                                        const ConfigReader& method);
std::unique_ptr<CodedMatrices> open_compressed_tensors(std::shared_ptr<const Checkpoint> checkpoint,
                                                       const ConfigReader& config, const ConfigReader& method);

}  // namespace nuri
