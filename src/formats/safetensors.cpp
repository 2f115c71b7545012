#include "formats/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <unordered_set>

#include "base/config_reader.h"
#include "base/error.h"
#include "formats/safetensors_names.h"

namespace nuri {

std::string shape_text(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::optional<size_t> safetensors::byte_size(DType dtype, std::span<const int64_t> shape) {
  int64_t product = static_cast<int64_t>(size_of(dtype));
  bool empty = false;
  for (int64_t dimension : shape) {
    if (dimension < 0) return {};
    if (dimension == 0) empty = true;
    if (__builtin_mul_overflow(product, std::max<int64_t>(dimension, 1), &product)) return {};
  }
  return empty ? 0 : static_cast<size_t>(product);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path), header_(parse_safetensors(file_.bytes(), path.string())) {
  by_name_.reserve(header_.tensors.size());
  for (size_t i = 0; i < header_.tensors.size(); ++i) by_name_.emplace(header_.tensors[i].name, i);
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &header_.tensors[it->second];
}

std::span<std::byte> SafetensorsFile::data(const TensorInfo& tensor) const {
  auto bytes = file_.bytes();
  if (tensor.offset > bytes.size() || tensor.size > bytes.size() - tensor.offset)
    throw Error(ErrorKind::internal,
                fmt::format("{}: tensor {} is of another file", path().string(), shown_text(tensor.name)));
  return bytes.subspan(tensor.offset, tensor.size);
}

namespace {

// The header's JSON, padded so that the data begin at a multiple of 64.
std::string header_text(std::span<const TensorData> tensors, const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    Json object = Json::object();
    for (const auto& [key, value] : metadata) object[key] = value;
    text += fmt::format("\"{}\":{}", safetensors::kMetadataKey, object.dump());
  }
  size_t offset = 0;
  std::unordered_set<std::string_view> names;
  for (const auto& tensor : tensors) {
    auto size = safetensors::byte_size(tensor.dtype, tensor.shape);
    size_t end = 0;
    if (!size || tensor.shape.size() > safetensors::kMaxDimensions || __builtin_add_overflow(offset, *size, &end))
      throw Error(ErrorKind::internal, fmt::format("tensor {}: found the shape {}, expected one that memory can hold",
                                                   shown_text(tensor.name), shape_text(tensor.shape)));
    if (tensor.name == safetensors::kMetadataKey || !names.insert(tensor.name).second)
      throw Error(ErrorKind::internal, fmt::format("tensor {}: found a reserved or repeated name, expected a new one",
                                                   shown_text(tensor.name)));
    if (text.size() > 1) text += ',';
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", Json(tensor.name).dump(),
                        name_of(tensor.dtype), fmt::join(tensor.shape, ","), offset, end);
    offset = end;
  }
  text += '}';
  while ((sizeof(uint64_t) + text.size()) % 64 != 0) text += ' ';
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const TensorData> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::string header;
  try {
    header = header_text(tensors, metadata);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::internal,
                fmt::format("{}: found a tensor's name or metadata that is no UTF-8, expected UTF-8", path.string()));
  }
  if (header.size() > safetensors::kMaxHeaderBytes)
    throw Error(ErrorKind::internal, fmt::format("{}: found a header of {} bytes, expected at most {}", path.string(),
                                                 header.size(), safetensors::kMaxHeaderBytes));
  AtomicFile file(path);
  unsigned char length[sizeof(uint64_t)];
  for (size_t i = 0; i < sizeof(length); ++i)
    length[i] = static_cast<unsigned char>(uint64_t{header.size()} >> (8 * i));
  file.write(length, sizeof(length));
  file.write(header);
  for (const auto& tensor : tensors) file.write(tensor.data, *safetensors::byte_size(tensor.dtype, tensor.shape));
  file.commit();
}

}  // namespace nuri
