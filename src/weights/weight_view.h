#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/coding.h"

namespace nuri {

// How a weight starts when it is trained from nothing.
struct Init {
  enum class Kind { normal, constant } kind = Kind::normal;
  double value = 0.02;  // standard deviation, or the constant
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  static Init constant(double value) { return {Kind::constant, value}; }
};

// A matrix [n, k] of a product or of embeddings: numbers, or the codes that stand for them.
struct Matrix {
  at::Tensor numbers;  // of codes: not a number, everywhere, in the type and the shape that they stand for
  std::optional<kernels::Coding> coding = {};
  at::Tensor codes = {};     // uint8, as kernels/coding.h tells, on the CPU or the meta device
  bool weight_only = false;  // codes that libtorch's own operators are to multiply by, on the device of `numbers`
};

// A matrix [n, k] within a tensor of several: rows [begin, begin + n) of tensor[index], or of its transposed.
struct MatrixPart {
  std::string tensor;
  std::vector<int64_t> shape;  // of the tensor: three sizes
  int64_t index = 0, begin = 0;
  bool transposed = false;
};

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Where weights come from: a mapped checkpoint, an initialiser. Names are canonical: those that today's
// reference writes.
class WeightStore {
 public:
  virtual ~WeightStore() = default;
  virtual bool has(const std::string& name) const = 0;
  // Whether a file holds it: what is only made where it is asked for is not stored.
  virtual bool stored(const std::string& name) const { return has(name); }
  // Whether `name` is stored with other numbers than `tied`, to which a configuration ties it. Where it is stored with
  // the same ones, it counts as taken.
  virtual bool differs(const std::string& name, const std::string& tied) { return false; }
  struct Codes {
    kernels::Coding coding;
    at::Tensor bytes;
    at::ScalarType dtype;                        // of the numbers that they stand for
    std::optional<at::Device> weight_only = {};  // where libtorch's own operators multiply by them; nothing: kernels do
  };
  // The matrix [n, k] if it is stored in codes or is to be rounded to them; else nothing. Throws Error(format) for
  // another shape.
  virtual std::optional<Codes> codes(const std::string& name, int64_t n, int64_t k) { return {}; }
  // The same of a matrix `name` that is stored as a part of a tensor: in codes if it is to be rounded to them.
  virtual std::optional<Codes> codes_of_part(const std::string& name, const MatrixPart& part, int64_t n, int64_t k) {
    return {};
  }
  // The tensor of exactly this shape. Throws Error(format) that names the file, the tensor, the shape found
  // and `shape`.
  virtual at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init& init) = 0;
};

// A scoped path into a store: modules read their weights through it, and what was read is the ledger, the
// list of the model's parameters.
//
//   Linear query(weights / "q_proj", hidden, heads * head_dim);
class WeightView {
 public:
  explicit WeightView(std::shared_ptr<WeightStore> store);

  WeightView operator/(std::string_view scope) const;
  WeightView operator/(int64_t index) const { return *this / std::to_string(index); }

  bool has(std::string_view name) const;
  bool stored(std::string_view name) const;
  bool differs(std::string_view name, std::string_view tied) const;
  // The weight `scope.name`. Reading one name twice gives the same tensor (tied weights).
  at::Tensor get(std::string_view name, at::IntArrayRef shape, const Init& init = {}) const;

  // The matrix `scope.name` [n, k].
  Matrix matrix(std::string_view name, int64_t n, int64_t k, const Init& init = {}) const;
  // The matrix `scope.name` [n, k] that may be stored as a part of the tensor `scope.(part.tensor)`; its numbers are
  // a view of that.
  Matrix part(std::string_view name, MatrixPart part, int64_t n, int64_t k, const Init& init = {}) const;

  // Every weight read so far through any view of this store, in order of first reading.
  const std::vector<NamedTensor>& ledger() const { return ledger_->entries; }
  // Those of them that are in codes, by name.
  const std::unordered_map<std::string, Matrix>& coded() const { return ledger_->coded; }
  const std::string& scope() const { return scope_; }

 private:
  struct Ledger {
    std::vector<NamedTensor> entries;
    std::unordered_map<std::string, size_t> places;  // in `entries`
    std::unordered_map<std::string, Matrix> coded;
  };
  std::string path(std::string_view name) const;
  at::Tensor enter(std::string name, at::Tensor tensor) const;
  Matrix enter_codes(std::string name, WeightStore::Codes codes, int64_t n, int64_t k) const;
  const at::Tensor* find(const std::string& name, at::IntArrayRef shape) const;

  std::shared_ptr<WeightStore> store_;
  std::shared_ptr<Ledger> ledger_;
  std::string scope_;
};

}  // namespace nuri
