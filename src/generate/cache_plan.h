#pragma once

#include <memory>

#include "models/parts/interface.h"

namespace nuri {

// A key-value cache for sequences of up to `context` positions, `positions` of them together. 0 positions: one whole
// context, or as much of it as half of the free memory holds. Throws Error(resource), with the arithmetic, when what
// was asked for does not fit into memory.
std::unique_ptr<nn::KvCache> make_cache(const CausalLM& model, int64_t context, int64_t positions,
                                        nn::CacheType type = nn::CacheType::native);

}  // namespace nuri
