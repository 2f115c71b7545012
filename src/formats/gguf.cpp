#include "formats/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <set>

#include "base/config_reader.h"
#include "base/error.h"

namespace nuri {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr size_t kMaxDimensions = 4, kLongestName = 1024, kUsualAlignment = 32, kMaxAlignment = size_t{1} << 30;
// The shortest metadata entry (key, type, one byte) and tensor entry (name, count of dimensions, type, offset).
constexpr size_t kLeastEntry = 8 + 4 + 1, kLeastTensor = 8 + 4 + 4 + 8;

struct TypeRow {
  GgmlType type;
  GgmlBlock block;
};
constexpr std::array kTypes{
    TypeRow{GgmlType::F32, {"F32", 1, 4}},           TypeRow{GgmlType::F16, {"F16", 1, 2}},
    TypeRow{GgmlType::BF16, {"BF16", 1, 2}},         TypeRow{GgmlType::Q4_0, {"Q4_0", 32, 18}},
    TypeRow{GgmlType::Q4_1, {"Q4_1", 32, 20}},       TypeRow{GgmlType::Q5_0, {"Q5_0", 32, 22}},
    TypeRow{GgmlType::Q5_1, {"Q5_1", 32, 24}},       TypeRow{GgmlType::Q8_0, {"Q8_0", 32, 34}},
    TypeRow{GgmlType::Q2_K, {"Q2_K", 256, 84}},      TypeRow{GgmlType::Q3_K, {"Q3_K", 256, 110}},
    TypeRow{GgmlType::Q4_K, {"Q4_K", 256, 144}},     TypeRow{GgmlType::Q5_K, {"Q5_K", 256, 176}},
    TypeRow{GgmlType::Q6_K, {"Q6_K", 256, 210}},     TypeRow{GgmlType::IQ4_NL, {"IQ4_NL", 32, 18}},
    TypeRow{GgmlType::IQ4_XS, {"IQ4_XS", 256, 136}},
};

size_t bytes_of(GgufValue::Type type) {
  switch (type) {
    case GgufValue::Type::U8:
    case GgufValue::Type::I8:
    case GgufValue::Type::BOOL:
      return 1;
    case GgufValue::Type::U16:
    case GgufValue::Type::I16:
      return 2;
    case GgufValue::Type::U32:
    case GgufValue::Type::I32:
    case GgufValue::Type::F32:
      return 4;
    default:
      return 8;
  }
}

// Walks through the header; every step is checked against the end of the file.
class HeaderCursor {
 public:
  HeaderCursor(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name) {}

  template <class T>
  T value(std::string_view what) {
    T found;
    std::memcpy(&found, bytes(sizeof(T), what).data(), sizeof(T));
    return found;
  }
  std::string_view text(std::string_view what) {
    auto length = value<uint64_t>(what);
    auto found = bytes(length, what);
    return {reinterpret_cast<const char*>(found.data()), found.size()};
  }
  std::span<const std::byte> bytes(uint64_t count, std::string_view what) {
    if (count > left())
      fail(fmt::format("{} of {} bytes at byte {}", what, count, at_),
           fmt::format("at most the {} left of the file", left()));
    auto found = file_.subspan(at_, count);
    at_ += count;
    return found;
  }
  // A number of things that take at least `each` bytes.
  size_t count(std::string_view what, size_t each) {
    auto found = value<uint64_t>(what);
    if (found > left() / each)
      fail(fmt::format("{} {}", found, what), fmt::format("at most what {} bytes hold", left()));
    return found;
  }
  size_t at() const { return at_; }
  size_t left() const { return file_.size() - at_; }
  [[noreturn]] void fail(std::string_view found, std::string_view expected) const {
    throw Error(ErrorKind::format, fmt::format("{}: found {}, expected {}", name_, found, expected));
  }
  const std::string& name() const { return name_; }

 private:
  std::span<const std::byte> file_;
  const std::string& name_;
  size_t at_ = 0;
};

GgufValue::Type read_type(HeaderCursor& cursor, const std::string& key) {
  auto type = cursor.value<uint32_t>("a type");
  if (type > static_cast<uint32_t>(GgufValue::Type::F64))
    cursor.fail(fmt::format("the type {} under the metadata key {}", type, key), "one from 0 to 12");
  return static_cast<GgufValue::Type>(type);
}

GgufValue read_value(HeaderCursor& cursor, const std::string& key) {
  GgufValue value{read_type(cursor, key)};
  if (value.type == GgufValue::Type::LIST) {
    value.type = read_type(cursor, key);
    value.is_list = true;
    if (value.type == GgufValue::Type::LIST)
      throw Error(ErrorKind::unsupported, fmt::format("{}: metadata {}: found a list of lists, expected one of texts "
                                                      "or numbers",
                                                      cursor.name(), key));
    value.count = cursor.count("values of a list", bytes_of(value.type));
  }
  if (value.type == GgufValue::Type::TEXT) {
    value.texts.reserve(value.count);
    for (size_t i = 0; i < value.count; ++i) value.texts.push_back(cursor.text("a text"));
  } else {
    value.numbers = cursor.bytes(value.count * bytes_of(value.type), "numbers");
  }
  return value;
}

void check_name(const HeaderCursor& cursor, std::string_view name, std::string_view what) {
  if (name.empty() || name.size() > kLongestName)
    cursor.fail(fmt::format("{} of {} bytes", what, name.size()), fmt::format("1 to {}", kLongestName));
}

std::map<std::string, GgufValue, std::less<>> read_metadata(HeaderCursor& cursor, size_t count) {
  std::map<std::string, GgufValue, std::less<>> values;
  for (size_t i = 0; i < count; ++i) {
    std::string_view key = cursor.text("a key");
    check_name(cursor, key, "a metadata key");
    std::string shown = shown_text(key);
    if (!values.emplace(std::string(key), read_value(cursor, shown)).second)
      cursor.fail(fmt::format("the metadata key {} twice", shown), "it once");
  }
  return values;
}

GgmlType tensor_type(const HeaderCursor& cursor, const std::string& name, uint32_t number) {
  std::string known;
  for (const TypeRow& row : kTypes) {
    if (static_cast<uint32_t>(row.type) == number) return row.type;
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", row.block.name, static_cast<uint32_t>(row.type));
  }
  throw Error(ErrorKind::unsupported, fmt::format("{}: tensor {}: found the type {}, expected one of {}", cursor.name(),
                                                  shown_text(name), number, known));
}

void read_shape(HeaderCursor& cursor, GgufTensor& tensor) {
  const std::string shown = shown_text(tensor.name);
  auto dimensions = cursor.value<uint32_t>("a number of dimensions");
  if (dimensions == 0 || dimensions > kMaxDimensions)
    cursor.fail(fmt::format("{} dimensions of tensor {}", dimensions, shown), fmt::format("1 to {}", kMaxDimensions));
  int64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    auto size = cursor.value<uint64_t>("a dimension");
    if (size == 0 || size > uint64_t{1} << 40 ||
        __builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements) || elements > int64_t{1} << 56)
      cursor.fail(fmt::format("dimension {} of tensor {} of size {}", i, shown, size),
                  "sizes from 1 whose product a file can hold");
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
  }
  tensor.type = tensor_type(cursor, tensor.name, cursor.value<uint32_t>("a tensor type"));
  const GgmlBlock block = block_of(tensor.type);
  if (tensor.row_elements() % block.elements != 0)
    cursor.fail(fmt::format("rows of {} numbers in tensor {}", tensor.row_elements(), shown),
                fmt::format("a multiple of {}, as {} has blocks", block.elements, block.name));
  tensor.size = static_cast<size_t>(elements / block.elements * block.bytes);
}

std::vector<GgufTensor> read_tensors(HeaderCursor& cursor, size_t count) {
  std::vector<GgufTensor> tensors;
  std::set<std::string_view> names;
  tensors.reserve(count);  // the count was checked; names point into its elements
  for (size_t i = 0; i < count; ++i) {
    GgufTensor& tensor = tensors.emplace_back();
    std::string_view name = cursor.text("a tensor's name");
    check_name(cursor, name, "a tensor's name");
    if (!names.insert(name).second) cursor.fail(fmt::format("the tensor {} twice", shown_text(name)), "it once");
    tensor.name = name;
    read_shape(cursor, tensor);
    tensor.offset = cursor.value<uint64_t>("an offset");
  }
  return tensors;
}

// Turns offsets from the data's beginning into those from the file's; each tensor must follow the one before.
void place_tensors(const HeaderCursor& cursor, size_t alignment, std::vector<GgufTensor>& tensors) {
  const size_t end = cursor.at() + cursor.left();
  const auto padded = [&](size_t at) { return (at + alignment - 1) / alignment * alignment; };
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  const size_t begin = padded(cursor.at());
  size_t at = begin;
  for (GgufTensor& tensor : tensors) {
    const std::string shown = shown_text(tensor.name);
    if (begin > end || tensor.offset > end - begin || tensor.size > end - begin - tensor.offset)
      cursor.fail(fmt::format("tensor {} of {} bytes at {} of the data", shown, tensor.size, tensor.offset),
                  fmt::format("it in a file of {} bytes, whose data begin at {}", end, begin));
    tensor.offset += begin;
    if (tensor.offset < at)
      cursor.fail(fmt::format("tensor {} at byte {}", shown, tensor.offset),
                  fmt::format("byte {}, behind the tensor before", at));
    if (tensor.offset > at)
      cursor.fail(fmt::format("{} bytes of no tensor in front of {}", tensor.offset - at, shown), "none");
    at = padded(tensor.offset + tensor.size);
  }
  if (end > at)
    cursor.fail(fmt::format("{} bytes of no tensor at the end", end - at), "none: the header may tell a wrong count");
}

size_t alignment_of(const GgufMetadata& metadata) {
  auto told = metadata.integer("general.alignment");
  if (!told) return kUsualAlignment;
  if (*told < 1 || *told > static_cast<int64_t>(kMaxAlignment) || !std::has_single_bit(static_cast<uint64_t>(*told)))
    metadata.fail("general.alignment", std::to_string(*told), "a power of two up to 2^30");
  return static_cast<size_t>(*told);
}

}  // namespace

GgmlBlock block_of(GgmlType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return row.block;
  throw Error(ErrorKind::internal, "gguf: unknown tensor type");
}

int64_t GgufTensor::rows() const {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  return count;
}

int64_t GgufTensor::row_bytes() const {
  const GgmlBlock block = block_of(type);
  return row_elements() / block.elements * block.bytes;
}

const GgufTensor* Gguf::find(std::string_view name) const {
  auto found = std::ranges::find(tensors, name, &GgufTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

Gguf parse_gguf(std::span<const std::byte> file, const std::string& name) {
  HeaderCursor cursor(file, name);
  auto magic = cursor.bytes(std::min(cursor.left(), kMagic.size()), "the beginning");
  if (std::string_view(reinterpret_cast<const char*>(magic.data()), magic.size()) != kMagic)
    cursor.fail("no GGUF file", "one that begins with GGUF");
  auto version = cursor.value<uint32_t>("the version");
  if (version != 2 && version != 3)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found version {} of GGUF, expected 2 or 3, little-endian", name, version));
  const size_t tensor_count = cursor.count("tensors", kLeastTensor), count = cursor.count("metadata", kLeastEntry);
  GgufMetadata metadata(name, read_metadata(cursor, count));
  if (auto parts = metadata.integer("split.count"); parts.value_or(1) > 1)
    metadata.reject("split.count", std::to_string(*parts), "a model in one file");
  if (tensor_count > cursor.left() / kLeastTensor)
    cursor.fail(fmt::format("{} tensors", tensor_count), fmt::format("at most what {} bytes hold", cursor.left()));
  std::vector<GgufTensor> tensors = read_tensors(cursor, tensor_count);
  place_tensors(cursor, alignment_of(metadata), tensors);
  return {std::move(metadata), std::move(tensors)};
}

GgufFile::GgufFile(const std::filesystem::path& path)
    : file_(path), content_(parse_gguf(file_.bytes(), path.string())) {}

bool is_gguf_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  if (path.extension() == ".gguf") return true;
  std::array<char, 4> begin{};
  std::ifstream(path, std::ios::binary).read(begin.data(), begin.size());
  return std::string_view(begin.data(), begin.size()) == kMagic;
}

}  // namespace nuri
