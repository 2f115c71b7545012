#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace nuri {

// The types of tensors in GGUF files that Nuri reads, by their numbers there.
enum class GgmlType : uint32_t {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ4_NL = 20,
  IQ4_XS = 23,
  BF16 = 30,
};

// Numbers lie in blocks: `elements` neighbours of a row in `bytes`.
struct GgmlBlock {
  std::string_view name;
  int64_t elements, bytes;
};
GgmlBlock block_of(GgmlType type);

// One tensor. Rows lie one after the other.
struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;  // the slowest dimension first, each at least 1: a matrix of a product is [out, in]
  size_t offset;               // bytes from the beginning of the file
  size_t size;                 // bytes

  int64_t row_elements() const { return shape.back(); }
  int64_t rows() const;
  int64_t row_bytes() const;
};

// A value of the metadata: a number, true or false, a text, or a list of one of these.
struct GgufValue {
  enum class Type : uint32_t { U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, LIST, U64, I64, F64 };
  Type type;  // of a list: of its elements
  bool is_list = false;
  size_t count = 1;
  std::span<const std::byte> numbers = {};   // `count` of them, little-endian at any address
  std::vector<std::string_view> texts = {};  // as they lie in the file, perhaps no UTF-8
};

// The metadata of a file, read by type. A value of another type is Error(format) that names file and key.
class GgufMetadata {
 public:
  GgufMetadata(std::string file, std::map<std::string, GgufValue, std::less<>> values);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;  // a whole one too
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  // Lists; a list that is absent is empty.
  const std::vector<std::string_view>& texts(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;

  // The number of a key that must be there, between `low` and `high`.
  int64_t required(std::string_view key, int64_t low, int64_t high) const;
  // A list counts as its number where all its elements are equal: some keys may be given layer by layer.
  std::optional<int64_t> uniform(std::string_view key) const;

  const std::string& file() const { return file_; }
  const std::map<std::string, GgufValue, std::less<>>& values() const { return values_; }
  // "file: metadata key: found ..., expected ..."
  [[noreturn]] void fail(std::string_view key, std::string_view found, std::string_view expected) const;
  [[noreturn]] void reject(std::string_view key, std::string_view found, std::string_view expected) const;

 private:
  const GgufValue* find(std::string_view key) const;
  const GgufValue* single(std::string_view key, std::string_view expected) const;

  std::string file_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

struct Gguf {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // by offset

  const GgufTensor* find(std::string_view name) const;
};

// Checks and reads a whole GGUF file of version 2 or 3 that lies in memory, little-endian; `name` stands in messages.
// The result's texts and lists are views of `file`. Every tensor lies in it, aligned, behind the one before with no
// more than padding between, and the last one ends with the file. Throws Error(format), or Error(unsupported) for
// another version, another tensor type, or a part of a model in several files.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
Gguf parse_gguf(std::span<const std::byte> file, const std::string& name);

// A mapped file, checked. Throws as MappedFile and parse_gguf do.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const Gguf& content() const { return content_; }
  const GgufMetadata& metadata() const { return content_.metadata; }
  std::span<std::byte> bytes() const { return file_.bytes(); }
  // Valid while this object lives.
  std::span<std::byte> data(const GgufTensor& tensor) const {
    return file_.bytes().subspan(tensor.offset, tensor.size);
  }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  Gguf content_;
};

// A regular file that begins as GGUF files do, or is named as one.
bool is_gguf_file(const std::filesystem::path& path);

}  // namespace nuri
