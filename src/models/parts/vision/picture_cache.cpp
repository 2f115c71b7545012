#include "models/parts/vision/picture_cache.h"

#include <ATen/ATen.h>

namespace nuri {

// Of the type, the shape and the bytes.
PictureCache::Key PictureCache::key_of(const at::Tensor& picture) {
  at::Tensor flat = picture.cpu().contiguous();
  Digest digest;
  digest.add(static_cast<int64_t>(flat.scalar_type()));
  for (int64_t size : flat.sizes()) digest.add(size);
  return digest.add(flat.const_data_ptr(), flat.nbytes()).value();
}

std::vector<at::Tensor> PictureCache::operator()(std::span<const at::Tensor> pictures, const Encode& encode) {
  std::vector<at::Tensor> features(pictures.size());
  std::vector<Key> keys;
  std::vector<size_t> missing;
  for (size_t i = 0; i < pictures.size(); ++i) {
    keys.push_back(key_of(pictures[i]));
    auto found = places_.find(keys[i]);
    if (found == places_.end()) {
      missing.push_back(i);
      continue;
    }
    features[i] = found->second->features;
    entries_.splice(entries_.begin(), entries_, found->second);
  }
  if (missing.empty()) return features;
  std::vector<at::Tensor> made = encode(missing);
  for (size_t i = 0; i < missing.size(); ++i) {
    features[missing[i]] = made[i];
    add(keys[missing[i]], made[i]);
  }
  return features;
}

void PictureCache::add(const Key& key, const at::Tensor& features) {
  int64_t size = static_cast<int64_t>(features.nbytes());
  if (size > capacity_ || places_.contains(key)) return;
  for (bytes_ += size; bytes_ > capacity_; entries_.pop_back()) {
    bytes_ -= static_cast<int64_t>(entries_.back().features.nbytes());
    places_.erase(entries_.back().key);
  }
  // A copy: a view would keep the features of all pictures that were encoded along.
  entries_.push_front({key, features.clone()});
  places_[key] = entries_.begin();
}

at::Tensor PictureCache::of_tiles(const at::Tensor& tiles, const std::function<at::Tensor(const at::Tensor&)>& encode) {
  std::vector<at::Tensor> pieces = tiles.split(1);
  return at::cat((*this)(pieces, [&](const std::vector<size_t>& missing) {
    std::vector<at::Tensor> chosen;
    for (size_t i : missing) chosen.push_back(pieces[i]);
    return encode(at::cat(chosen)).split(1);
  }));
}

}  // namespace nuri
