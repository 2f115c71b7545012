#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "base/error.h"
#include "base/json_events.h"
#include "formats/safetensors.h"
#include "formats/safetensors_names.h"

namespace nuri {
namespace {

// Reads the header's JSON event by event: its form is fixed, so nothing but the result is built, repeated
// names are seen (a tree would keep the last one silently), and time is linear in the text.
// In a tensor's info, `offset` and `size` hold data_offsets as written until place() has checked them.
class HeaderReader : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  bool null() override { refuse("null"); }
  bool boolean(bool value) override { refuse(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { refuse(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { refuse(shown_text(text)); }

  bool number_unsigned(number_unsigned_t value) override {
    if (where_ == Where::shape) {
      if (value > uint64_t(std::numeric_limits<int64_t>::max())) refuse(std::to_string(value));
      if (tensor_.shape.size() == safetensors::kMaxDimensions)
        fail(fmt::format("found more than {} dimensions, expected fewer", safetensors::kMaxDimensions));
      tensor_.shape.push_back(static_cast<int64_t>(value));
    } else if (where_ == Where::offsets && offsets_seen_ < 2) {
      (offsets_seen_++ == 0 ? tensor_.offset : tensor_.size) = value;
    } else {
      refuse(std::to_string(value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (where_ == Where::metadata) {
      header_.metadata[key_] = std::move(value);
    } else if (where_ == Where::tensor && key_ == "dtype") {
      auto dtype = dtype_from_name(value);
      if (!dtype)
        throw Error(
            ErrorKind::unsupported,
            fmt::format("{}: tensor {}: found the dtype {}, expected one of F64, F32, F16, BF16, I64, I32, I16, "
                        "I8, U8, BOOL, U16, U32, U64, F8_E4M3, F8_E5M2",
                        name(), shown_text(tensor_.name), shown_text(value)));
      tensor_.dtype = *dtype;
      have_ |= kDtype;
    } else {
      refuse(fmt::format("\"{}\"", shown_text(value)));
    }
    return true;
  }

  bool start_object(size_t) override {
    if (where_ == Where::outside) {
      where_ = Where::root;
    } else if (where_ == Where::root) {
      where_ = key_ == safetensors::kMetadataKey ? Where::metadata : Where::tensor;
      names_in_object_.clear();
      if (where_ == Where::tensor) tensor_ = {key_, DType::F32, {}, 0, 0};
      have_ = 0;
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(string_t& value) override {
    auto& seen = where_ == Where::root ? names_ : names_in_object_;
    if (!seen.insert(value).second) fail(fmt::format("found the name {} twice, expected it once", shown_text(value)));
    if (where_ == Where::tensor && value != "dtype" && value != "shape" && value != "data_offsets")
      fail(fmt::format("found the key {}, expected dtype, shape and data_offsets", shown_text(value)));
    key_ = std::move(value);
    return true;
  }

  bool end_object() override {
    if (where_ == Where::tensor) {
      if (have_ != (kDtype | kShape | kOffsets))
        fail(fmt::format("{} not found, expected dtype, shape and data_offsets", !(have_ & kDtype)   ? "dtype"
                                                                                 : !(have_ & kShape) ? "shape"
                                                                                                     : "data_offsets"));
      header_.tensors.push_back(std::move(tensor_));
    }
    where_ = where_ == Where::root ? Where::outside : Where::root;
    return true;
  }

  bool start_array(size_t) override {
    if (where_ != Where::tensor || key_ == "dtype") refuse("a list");
    where_ = key_ == "shape" ? Where::shape : Where::offsets;
    offsets_seen_ = 0;
    return true;
  }

  bool end_array() override {
    if (where_ == Where::offsets && offsets_seen_ != 2)
      fail(fmt::format("data_offsets: found {} number(s), expected 2", offsets_seen_));
    have_ |= where_ == Where::shape ? kShape : kOffsets;
    where_ = Where::tensor;
    return true;
  }

  SafetensorsHeader take() { return std::move(header_); }

 private:
  enum class Where { outside, root, metadata, tensor, shape, offsets };
  enum : unsigned { kDtype = 1, kShape = 2, kOffsets = 4 };

  [[noreturn]] void fail(const std::string& what) const {
    switch (where_) {
      case Where::outside:
      case Where::root:
        throw Error(ErrorKind::format, fmt::format("{}: header: {}", name(), what));
      case Where::metadata:
        throw Error(ErrorKind::format, fmt::format("{}: __metadata__: {}", name(), what));
      default:
        throw Error(ErrorKind::format, fmt::format("{}: tensor {}: {}", name(), shown_text(tensor_.name), what));
    }
  }
  [[noreturn]] void refuse(const std::string& found) const {
    switch (where_) {
      case Where::outside:
        fail(fmt::format("found {}, expected an object", found));
      case Where::root:
        fail(fmt::format("{}: found {}, expected an object", shown_text(key_), found));
      case Where::metadata:
        fail(fmt::format("{}: found {}, expected a string", shown_text(key_), found));
      case Where::shape:
        fail(fmt::format("shape: found {}, expected integers from 0 to 2^63 - 1", found));
      case Where::offsets:
        fail(fmt::format("data_offsets: found {}, expected two integers of at least 0", found));
      case Where::tensor:
        break;
    }
    fail(fmt::format("{}: found {}, expected {}", shown_text(key_), found, key_ == "dtype" ? "a string" : "a list"));
  }

  SafetensorsHeader header_;
  Where where_ = Where::outside;
  std::string key_;
  TensorInfo tensor_{};
  size_t offsets_seen_ = 0;
  unsigned have_ = 0;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> names_in_object_;
};

// Checks data_offsets against the data (`data_size` bytes from `data_begin` of the file) and each other, and
// turns them into `offset` from the file's beginning and `size`.
void place(SafetensorsHeader& header, size_t data_begin, size_t data_size, std::string_view file) {
  auto& tensors = header.tensors;
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.size < b.size;
  });
  size_t expected_begin = 0;
  for (auto& tensor : tensors) {
    size_t begin = tensor.offset, end = tensor.size;
    auto refuse = [&](const std::string& expected) {
      throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found the data_offsets [{}, {}], expected {}", file,
                                                 shown_text(tensor.name), begin, end, expected));
    };
    if (begin > end) refuse("a beginning before the end");
    if (end > data_size) refuse(fmt::format("an end within the {} bytes of data that the file holds", data_size));
    if (begin != expected_begin)
      refuse(fmt::format("{} as the beginning, where the tensor before it ends ({})", expected_begin,
                         begin < expected_begin ? "overlap" : "gap"));
    auto size = safetensors::byte_size(tensor.dtype, tensor.shape);
    if (!size)
      throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found the shape {}, expected one that memory can hold",
                                                 file, shown_text(tensor.name), shape_text(tensor.shape)));
    if (end - begin != *size)
      refuse(fmt::format("{} bytes for the shape {} of {}", *size, shape_text(tensor.shape), name_of(tensor.dtype)));
    tensor.offset = data_begin + begin;
    tensor.size = *size;
    expected_begin = end;
  }
  if (expected_begin != data_size)
    throw Error(ErrorKind::format, fmt::format("{}: found {} bytes after the last tensor, expected none", file,
                                               data_size - expected_begin));
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, std::string_view name) {
  constexpr size_t kPrefix = sizeof(uint64_t);
  if (file.size() < kPrefix)
    throw Error(ErrorKind::format, fmt::format("{}: found {} bytes, expected a safetensors file of at least {}", name,
                                               file.size(), kPrefix + 2));
  uint64_t length = 0;
  for (size_t i = 0; i < kPrefix; ++i) length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  size_t available = file.size() - kPrefix;
  if (length > available)
    throw Error(ErrorKind::format, fmt::format("{}: found a header length of {} bytes, expected at most the {} that "
                                               "the file holds (truncated, or no safetensors file)",
                                               name, length, available));
  if (length > safetensors::kMaxHeaderBytes)
    throw Error(ErrorKind::format, fmt::format("{}: found a header length of {} bytes, expected at most {}", name,
                                               length, safetensors::kMaxHeaderBytes));
  std::string_view text(reinterpret_cast<const char*>(file.data()) + kPrefix, length);
  if (!text.starts_with('{'))
    throw Error(ErrorKind::format,
                fmt::format("{}: header: found no '{{' at its beginning, expected a JSON object", name));
  HeaderReader reader(name);
  reader.read(text);
  SafetensorsHeader header = reader.take();
  place(header, kPrefix + length, available - length, name);
  return header;
}

}  // namespace nuri
