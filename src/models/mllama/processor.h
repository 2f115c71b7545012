#pragma once

#include "models/parts/processors/processor.h"

namespace nuri {

// MllamaProcessor: an image token stays one token; beside the pictures' own tensors it makes `cross_attention_mask`
// [1, T, I, tiles], 1 where a token looks at a tile.
std::unique_ptr<Processor> make_mllama_processor(const std::filesystem::path& folder, const ConfigReader& config);
std::unique_ptr<PictureProcessor> make_mllama_pictures(const std::filesystem::path& folder);

// Of each image token in order, the range [begin, end) of tokens that look at its picture: from the token itself to
// the next one, or the text's end. Image tokens in a row count as one: the text behind the last looks at all of them.
std::vector<std::pair<int64_t, int64_t>> looking_ranges(std::span<const int32_t> ids, int32_t image_token);

}  // namespace nuri
