#pragma once

#include "common.h"

namespace nuri {

struct InspectRequest {
  std::string model;                  // a folder, a config.json alone, or the name of a bundled model
  std::string dtype;                  // float32, bfloat16, float16; empty: as in the file
  int64_t width = 448, height = 448;  // of the picture that is counted, where the model takes pictures as they are
};

// What a model's configuration, and its weights' headers where they are there, tell of it; nothing is loaded. One
// JSON object:
//   architecture, dtype, source ("weights": names and shapes were compared with the file's; "configuration")
//   parameters {total, active, trained, by_module}   counted as the reference counts them, a tied weight once; active:
//                                                    that work on one token; trained: but those that the family's own
//                                                    training keeps frozen
//   bytes {float32, bfloat16, float16, int8, int4}   of all weights; int8 and int4 with their scales
//   scale_bytes {int8, int4}, quantised_as   what of that are scales, and the layout that is assumed
//   context_length, kv_bytes_per_token, kv_bytes_per_token_int8 (--cache int8), flops_per_token   null unless the
//                                                    model continues a text
//   flops_per_picture, tokens_per_picture   null without a picture encoder; tokens null where none enter a text
//   codes {int8_rotated {matrices, parameters, bytes}, ...}   of weights that lie in codes: how many, and their bytes
//   memory {weights, available, limit, fits, context_that_fits}   bytes, and positions (null without a context)
//   assumed [...]   defaults of what the configuration leaves out
// FLOPs are those of matrix products, two for each multiplication with its addition: of one decoded token at an empty
// context, and of one picture through encoder and connector.
std::string inspect(const InspectRequest& request);

}  // namespace nuri
