#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "formats/safetensors.h"
#include "weights/coded_matrices.h"
#include "weights/weight_view.h"

namespace nuri {

// One published spelling of a name: the prefix `from` becomes `to`. `from` may be empty. A '*' in it stands for a
// number, which takes the place of the '*' in `to`.
struct Rename {
  std::string_view from;
  std::string_view to;
};

// A published tensor that holds several weights of the model along its first dimension: the names' prefix `from`
// becomes each of `to`. The weights follow each other, `shares` of rows to each (empty: equal ones), and that `groups`
// times over: a fused projection may keep the queries of each group of heads beside their key and value.
struct FusedTensor {
  std::string_view from;
  std::vector<std::string_view> to;
  int64_t groups = 1;
  std::vector<int64_t> shares = {};
};

// What a family tells of the names in its files.
struct NameRules {
  std::vector<Rename> renames;            // older to canonical; the first whose `from` fits is applied, once
  std::vector<std::string_view> ignored;  // canonical names, or suffixes after a leading '*', not needed
  std::vector<FusedTensor> splits = {};   // published to canonical; they go before the renames
};

struct LoadOptions {
  std::optional<at::ScalarType> dtype;  // floating weights are converted; absent: as in the file
  at::Device device = at::kCPU;         // meta: shapes and types alone
  // Matrices of products and the embeddings of words are rounded to these codes while they are read, as usual_coding
  // says. Throws Error(usage) for a checkpoint that is in codes already.
  std::optional<kernels::Coding> coding = {};
  // Products of codes are made by libtorch's own weight-only operators, as they always are on a GPU
  // (ops/weight_only.h).
  bool weight_only = false;
  // The device of these products; nothing: our kernels make them.
  std::optional<at::Device> weight_only_device() const {
    return weight_only || device.is_cuda() ? std::optional(device) : std::nullopt;
  }
};

// How `--weights` asks for the matrix of that name to be packed where it is stored in numbers. 8 bits for libtorch's
// operators have a scale a row, the only one that these know.
std::optional<kernels::Coding> asked_coding(const LoadOptions& options, const std::string& name);

// Weights that lie in files.
class FileStore : public WeightStore {
 public:
  // Throws Error(format) when a tensor of the file was neither taken nor ignored: a model that drops a
  // weight silently gives wrong answers.
  virtual void expect_all_taken() const = 0;
  // Throws Error(resource), with the arithmetic, when the weights that must be copied do not fit into memory.
  // Mapped ones cost page cache only, which gives way.
  virtual void expect_room() const = 0;
  // For a model that stays: what moves the weights that are views of the files to large pages (LargePages::move_some),
  // if most of them are; else nothing.
  virtual std::function<bool()> large_pages() const { return {}; }
};

// Those of a GGUF file, or of a checkpoint with these rules of names.
std::shared_ptr<FileStore> open_store(const std::filesystem::path& path, const NameRules& rules, LoadOptions options);

// The weights of a checkpoint, mapped: a tensor that needs no conversion is a view of the file.
class CheckpointStore : public FileStore {
 public:
  CheckpointStore(const std::filesystem::path& folder, const NameRules& rules, LoadOptions options);

  bool has(const std::string& name) const override;
  bool differs(const std::string& name, const std::string& tied) override;
  std::optional<Codes> codes(const std::string& name, int64_t n, int64_t k) override;
  std::optional<Codes> codes_of_part(const std::string& name, const MatrixPart& part, int64_t n, int64_t k) override;
  at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init& init) override;

  // A tensor of numbers in the file's type, on the CPU: a view of the file where it lies so. `release` gives the
  // memory of such a view back until it is read again.
  at::Tensor stored(const std::string& name, at::IntArrayRef shape) const;
  void release(const at::Tensor& view) const;

  void expect_all_taken() const override;
  void expect_room() const override;

  std::function<bool()> large_pages() const override;

 private:
  // Which rows of a published tensor [groups * total * n, ...] a canonical name stands for: [begin, begin + share) * n
  // of every group.
  struct Rows {
    int64_t groups = 1, begin = 0, share = 1, total = 1;
    at::Tensor of(const at::Tensor& whole, at::IntArrayRef shape) const;
  };
  struct Source {
    TensorInfo info;
    std::vector<int64_t> shape;
    Rows rows = {};
    int64_t elements() const { return info.elements() / rows.total * rows.share; }
  };
  struct CodedSource {
    std::string published;
    Rows rows = {};
  };
  const Source& source_of(const std::string& name, at::IntArrayRef shape) const;
  std::optional<kernels::Coding> coding(const std::string& name) const;
  void add(const std::string& name, Source source, const NameRules& rules);
  void add_matrix(const std::string& name, CodedSource source, const NameRules& rules);
  void add_parts(const TensorInfo& info, const FusedTensor& split, const NameRules& rules);
  void add_coded(const std::string& published, const NameRules& rules);
  at::Tensor take_numbers(const CodedSource& source, at::IntArrayRef shape) const;
  at::Tensor mapped(const TensorInfo& info) const;

  std::filesystem::path folder_;
  std::shared_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<CodedMatrices> coded_;  // null: all tensors are numbers
  LoadOptions options_;
  std::map<std::string, Source, std::less<>> tensors_;  // by canonical name
  std::map<std::string, CodedSource> matrices_;         // in codes, by canonical name
  std::set<std::string> taken_;
};

// Weights without values, on the meta device: what a configuration alone tells of a model.
class ShapeStore : public WeightStore {
 public:
  explicit ShapeStore(at::ScalarType dtype) : dtype_(dtype) {}
  bool has(const std::string& name) const override { return true; }
  bool stored(const std::string& name) const override { return false; }
  // Throws Error(unsupported) for a weight of 2^62 bytes or more.
  at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init& init) override;

 private:
  at::ScalarType dtype_;
};

// Weights for training: those of the given checkpoints where they have the name (a later store wins), the
// rest initialised from `seed` and the name, so that the order of reading changes nothing. float32.
class TrainingStore : public WeightStore {
 public:
  explicit TrainingStore(uint64_t seed) : seed_(seed) {}
  // Names of `store` that start with `take` ("vision_model.") are known here with `as` in its place
  // ("vision_tower.").
  void add(std::shared_ptr<WeightStore> store, std::string take, std::string as);

  // What may be initialised may be had; of what a checkpoint is taken for, what it has.
  bool has(const std::string& name) const override;
  bool stored(const std::string& name) const override;
  bool differs(const std::string& name, const std::string& tied) override;
  at::Tensor take(const std::string& name, at::IntArrayRef shape, const Init& init) override;
  // Throws Error(usage) when a store gave no weight: a misspelt name would go unnoticed.
  void expect_all_used() const;

 private:
  struct Source {
    std::shared_ptr<WeightStore> store;
    std::string take, as;
    bool used = false;
  };
  uint64_t seed_;
  std::vector<Source> sources_;
};

at::ScalarType torch_dtype(DType dtype);
DType file_dtype(at::ScalarType dtype);

}  // namespace nuri
