#pragma once

#include <cstddef>
#include <span>

#include "base/config_reader.h"
#include "formats/gguf.h"

namespace nuri {

// What a file of one of the architectures llama (Llama, Mistral, and Mixtral, which has experts) and qwen2 says of its
// model, in the words of a config.json of transformers. `file`: the bytes that `gguf` was read from, since llama 3's
// stretched positions are told by a tensor. Throws Error(unsupported) for another architecture, Error(format) for what
// is missing or cannot be.
Json gguf_config(const Gguf& gguf, std::span<const std::byte> file);

// Number of heads that the rows of each query and key projection are ordered by in files of the architecture llama:
// there neighbouring rows turn together, where transformers pairs the two halves of a head. 0: as in transformers.
struct GgufHeads {
  int64_t query = 0, key = 0;
};
GgufHeads interleaved_heads(const GgufMetadata& metadata);

}  // namespace nuri
