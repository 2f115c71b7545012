#include "generate/cache_plan.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/memory.h"

namespace nuri {

std::unique_ptr<nn::KvCache> make_cache(const CausalLM& model, int64_t context, int64_t positions, nn::CacheType type) {
  constexpr int64_t kBlock = nn::KvCache::kBlock;
  constexpr int64_t kMostPositions = kBlock * std::numeric_limits<int32_t>::max();  // blocks are numbered in 32 bits
  if (positions < 0 || positions > kMostPositions)
    throw Error(ErrorKind::usage,
                fmt::format("cache_positions: found {}, expected 0 to {}", positions, kMostPositions));
  int64_t a_block = nn::KvCache::bytes(model.cache_shape(), 1, model.dtype(), type);
  bool on_cpu = model.device().is_cpu();
  int64_t wanted = nn::KvCache::blocks_for(positions > 0 ? positions : context);
  if (positions == 0 && on_cpu) {
    int64_t fitting = available_memory().bytes / 2 / a_block;
    wanted = std::clamp<int64_t>(fitting, 1, wanted);
  }
  int64_t bytes;
  if (__builtin_mul_overflow(wanted, a_block, &bytes)) bytes = std::numeric_limits<int64_t>::max();
  std::string arithmetic = fmt::format("{} positions x {} bytes", wanted * kBlock, a_block / kBlock);
  if (on_cpu) expect_memory(bytes, "the key-value cache", arithmetic);
  try {
    return std::make_unique<nn::KvCache>(model.cache_shape(), wanted, model.dtype(), model.device(), type);
  } catch (const c10::Error&) {
    throw Error(ErrorKind::resource, fmt::format("the key-value cache: needs {} ({}), found too little memory",
                                                 readable_bytes(bytes), arithmetic));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::resource, fmt::format("the key-value cache: needs {} ({}), found too little memory",
                                                 readable_bytes(bytes), arithmetic));
  }
}

}  // namespace nuri
