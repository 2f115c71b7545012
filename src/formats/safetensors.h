#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/large_pages.h"
#include "formats/dtype.h"

namespace nuri {

// One tensor of a file. A scalar has the shape []; a dimension may be 0.
struct TensorInfo {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  size_t offset;  // bytes from the beginning of its file
  size_t size;    // bytes: the product of `shape` times size_of(dtype)

  int64_t elements() const { return static_cast<int64_t>(size / size_of(dtype)); }
};

// "[2, 3]", as shapes stand in messages.
std::string shape_text(std::span<const int64_t> shape);

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // by offset
  std::map<std::string, std::string> metadata;
};

// Checks and reads the header of a whole safetensors file that lies in memory; `name` stands in messages.
// Every offset of the result lies in `file`, the tensors cover the data without overlap or gap, and each
// size fits its shape. Throws Error(format), or Error(unsupported) for a dtype that DType lacks.
// Format: https://github.com/huggingface/safetensors ("Format").
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, std::string_view name);

// A mapped file (copy-on-write: writing through data() changes this process's memory only), its header
// fully checked. Throws as MappedFile and parse_safetensors do.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }  // by offset
  const TensorInfo* find(std::string_view name) const;                        // nullptr when there is none
  // The bytes of a tensor of this file. They may be unaligned: files of older writers have headers of any
  // length. Valid while this object lives.
  std::span<std::byte> data(const TensorInfo& tensor) const;
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const std::filesystem::path& path() const { return file_.path(); }
  // The whole file.
  std::span<std::byte> bytes() const { return file_.bytes(); }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

// What lies behind a model: one file, or the shards of `model.safetensors.index.json`.
class Checkpoint {
 public:
  // A folder as save_pretrained writes it (model.safetensors, else model.safetensors.index.json), or one
  // .safetensors or .safetensors.index.json file. An index must agree with its shards in every tensor and
  // may name only files of its own folder. Throws Error(usage) for what is missing, Error(format) for what
  // does not agree.
  static Checkpoint open(const std::filesystem::path& folder_or_file);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // shard by shard, by offset
  const TensorInfo* find(std::string_view name) const;                 // nullptr when there is none
  // As SafetensorsFile::data. Error(internal) for a tensor that is not of this checkpoint.
  std::span<std::byte> data(const TensorInfo& tensor) const;
  // Whether these bytes lie in one of the mapped files.
  bool holds(std::span<const std::byte> bytes) const;
  // The file that holds the tensor, for messages.
  const std::filesystem::path& file_of(const TensorInfo& tensor) const;
  size_t total_bytes() const { return total_bytes_; }  // of tensor data
  // Of the first file.
  const std::map<std::string, std::string>& metadata() const { return files_.front().metadata(); }
  // As given to open().
  const std::filesystem::path& path() const { return path_; }

  // For who reads all tensors again and again: LargePages::move_some of the files.
  bool move_to_large_pages();

 private:
  Checkpoint(std::filesystem::path path, std::vector<SafetensorsFile> files);
  static Checkpoint open_sharded(const std::filesystem::path& path, const std::filesystem::path& index);
  const SafetensorsFile& shard_of(const TensorInfo& tensor) const;

  struct Place {
    size_t tensor;  // in tensors_
    size_t file;    // in files_
  };
  std::filesystem::path path_;
  std::vector<SafetensorsFile> files_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, Place> by_name_;
  size_t total_bytes_ = 0;
  std::vector<LargePages> large_pages_;  // of the files; empty: nobody has asked yet
};

// A tensor to write: `data` points to the product of `shape` times size_of(dtype) bytes, row-major.
struct TensorData {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  const void* data;
};

// Writes the tensors in the order given, atomically; the same input gives the same bytes. The header is
// padded with spaces so that the data begin at a multiple of 64 bytes. The format knows no gap between
// tensors, so a tensor lies aligned when the sizes before it are multiples of its own alignment.
// Throws Error(usage) or Error(resource) as AtomicFile does, Error(internal) for a repeated or reserved
// name or an impossible shape.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorData> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace nuri
