#include "models/parts/vision/picture_cache.h"

#include <ATen/ATen.h>

#include <cstring>

namespace nuri {
namespace {

// The finalizer of MurmurHash3 (Appleby), which spreads every bit over all.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 33)) * 0xFF51AFD7ED558CCDull;
  x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ull;
  return x ^ (x >> 33);
}

}  // namespace

// 128 bits of the type, the shape and the bytes: enough that no two pictures of a lifetime meet.
PictureCache::Key PictureCache::key_of(const at::Tensor& picture) {
  at::Tensor flat = picture.cpu().contiguous();
  Key key{static_cast<uint64_t>(flat.scalar_type()), 0x9E3779B97F4A7C15ull};
  auto take = [&](uint64_t word) {
    key[0] = mix(key[0] ^ word);
    key[1] = mix(key[1] + word * 0xD6E8FEB86659FD93ull) ^ key[0];
  };
  for (int64_t size : flat.sizes()) take(static_cast<uint64_t>(size));
  const auto* bytes = static_cast<const char*>(flat.const_data_ptr());
  for (size_t left = flat.nbytes(), at = 0; left > 0;) {
    uint64_t word = 0;
    size_t taken = std::min<size_t>(left, 8);
    std::memcpy(&word, bytes + at, taken);
    take(word);
    at += taken, left -= taken;
  }
  return key;
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
