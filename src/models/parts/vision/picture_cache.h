#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <span>
#include <vector>

#include "base/digest.h"

namespace nuri {

// What an encoder made of the pictures it saw last, found by their content: a conversation reads its pictures anew at
// every turn, and encodes them once. For inference; what training computes must not pass through here.
class PictureCache {
 public:
  explicit PictureCache(int64_t capacity_bytes = int64_t{256} << 20) : capacity_(capacity_bytes) {}

  // encode(indices of pictures not known) -> what the encoder makes of each. -> that of every picture, in order.
  using Encode = std::function<std::vector<at::Tensor>(const std::vector<size_t>&)>;
  std::vector<at::Tensor> operator()(std::span<const at::Tensor> pictures, const Encode& encode);

  // The same of tiles [N, ...] in one tensor -> [N, ...].
  at::Tensor of_tiles(const at::Tensor& tiles, const std::function<at::Tensor(const at::Tensor&)>& encode);

  int64_t bytes() const { return bytes_; }

 private:
  using Key = Digest::Value;
  struct Entry {
    Key key;
    at::Tensor features;
  };
  static Key key_of(const at::Tensor& picture);
  void add(const Key& key, const at::Tensor& features);

  int64_t capacity_, bytes_ = 0;
  std::list<Entry> entries_;  // the last used one first
  std::map<Key, std::list<Entry>::iterator> places_;
};

}  // namespace nuri
