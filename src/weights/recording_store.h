#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weights/stores.h"

namespace nuri {

// What a model reads of a checkpoint, and how, when it is built on this store: it gets shapes and types alone.
class RecordingStore : public WeightStore {
 public:
  struct Entry {
    std::string name;            // canonical
    std::vector<int64_t> shape;  // of a matrix [n, k]
    at::ScalarType dtype;
    std::optional<kernels::Coding> coding;  // how a matrix is to be packed
    std::optional<MatrixPart> part;         // where it lies, if not as a tensor of its own
    int64_t bytes;                          // as it is to be written
  };
  // Which codes the matrix of this name, or a tensor of several, is to be rounded to.
  using Choose = std::function<std::optional<kernels::Coding>(const std::string& name)>;

  // `checkpoint`: opened for the meta device, without a coding.
  RecordingStore(std::shared_ptr<CheckpointStore> checkpoint, Choose choose)
      : checkpoint_(std::move(checkpoint)), choose_(std::move(choose)) {}

  bool has(const std::string& name) const override { return checkpoint_->has(name); }
  bool differs(const std::string& name, const std::string& tied) override { return checkpoint_->differs(name, tied); }
  std::optional<Codes> codes(const std::string& name, int64_t n, int64_t k) override;
  std::optional<Codes> codes_of_part(const std::string& name, const MatrixPart& part, int64_t n, int64_t k) override;
  at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init& init) override;

  // In the order of reading, each name once.
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  Codes record(Entry entry);

  std::shared_ptr<CheckpointStore> checkpoint_;
  Choose choose_;
  std::vector<Entry> entries_;
};

}  // namespace nuri
