#pragma once

#include <cstdint>
#include <vector>

#include "models/parts/interface.h"

namespace nuri {

// Several short texts after one shared beginning (a picture), in one row: no text sees another.
class PackedSample {
 public:
  // Appends tokens; a token sees earlier ones of its own segment and of segment 0, the beginning.
  void add(const std::vector<int32_t>& tokens, bool learned, int64_t segment);

  int64_t position = 0;  // of the next token; set back to where the beginning ends before each text

 private:
  friend NamedTensors padded(const std::vector<PackedSample>& samples);
  std::vector<int64_t> ids_, labels_, positions_, segments_;
};

// input_ids, labels (-100 where nothing is learned) and position_ids [B, L], attention_mask [B, 1, L, L] of booleans.
NamedTensors padded(const std::vector<PackedSample>& samples);

}  // namespace nuri
