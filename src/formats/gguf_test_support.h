#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"

// Writes GGUF files for tests, right ones and wrong ones.
namespace nuri {

class GgufBuilder {
 public:
  template <class T>
  static std::string bytes_of(T value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static std::string text_of(std::string_view text) { return bytes_of<uint64_t>(text.size()) + std::string(text); }

  GgufBuilder& raw(std::string_view key, uint32_t type, std::string_view value) {
    metadata_ += text_of(key) + bytes_of(type) + std::string(value);
    ++keys_;
    return *this;
  }
  GgufBuilder& set(std::string_view key, uint32_t value) { return raw(key, 4, bytes_of(value)); }
  GgufBuilder& set(std::string_view key, float value) { return raw(key, 6, bytes_of(value)); }
  GgufBuilder& flag(std::string_view key, bool value) { return raw(key, 7, std::string(1, value ? 1 : 0)); }
  GgufBuilder& set(std::string_view key, std::string_view value) { return raw(key, 8, text_of(value)); }
  GgufBuilder& list(std::string_view key, const std::vector<std::string>& texts) {
    std::string value = bytes_of<uint32_t>(8) + bytes_of<uint64_t>(texts.size());
    for (const std::string& text : texts) value += text_of(text);
    return raw(key, 9, value);
  }
  GgufBuilder& list(std::string_view key, const std::vector<float>& numbers) {
    std::string value = bytes_of<uint32_t>(6) + bytes_of<uint64_t>(numbers.size());
    for (float number : numbers) value += bytes_of(number);
    return raw(key, 9, value);
  }
  // `shape` as files have it, the fastest dimension first; data that follow the tensor before, or lie at `offset`.
  GgufBuilder& tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type, std::string_view data,
                      int64_t offset = -1) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment, '\0');
    tensors_ += text_of(name) + bytes_of(static_cast<uint32_t>(shape.size()));
    for (uint64_t size : shape) tensors_ += bytes_of(size);
    tensors_ += bytes_of(type) + bytes_of<uint64_t>(offset < 0 ? data_.size() : static_cast<uint64_t>(offset));
    data_ += data;
    ++count_;
    return *this;
  }
  // A tensor of float32 ones.
  GgufBuilder& ones(std::string_view name, std::vector<uint64_t> shape) {
    uint64_t elements = 1;
    for (uint64_t size : shape) elements *= size;
    std::string data;
    for (uint64_t i = 0; i < elements; ++i) data += bytes_of(1.0f);
    return tensor(name, std::move(shape), 0, data);
  }
  std::string build() const {
    std::string file = "GGUF" + bytes_of(version) + bytes_of(count_ + more_tensors) + bytes_of(keys_ + more_keys) +
                       metadata_ + tensors_;
    file.resize((file.size() + alignment - 1) / alignment * alignment, '\0');
    return file + data_;
  }

  uint32_t version = 3;
  uint64_t alignment = 32, more_tensors = 0, more_keys = 0;

 private:
  std::string metadata_, tensors_, data_;
  uint64_t keys_ = 0, count_ = 0;
};

inline Gguf parse_gguf(const std::string& file) { return parse_gguf(std::as_bytes(std::span(file)), "f"); }

}  // namespace nuri
