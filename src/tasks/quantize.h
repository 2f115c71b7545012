#pragma once

#include "common.h"

namespace nuri {

struct QuantizeRequest {
  std::string model;              // a folder, or the name of a bundled model
  std::string output;             // a folder that is not there yet
  std::string weights;            // int8, int4, bf12
  std::string method;             // rtn, gptq, awq; empty: rtn, or with texts to calibrate with gptq
  std::string calibrate;          // a text file or .jsonl (tasks/calibration.h); empty: none
  std::vector<std::string> keep;  // "PATTERN=bf16" or "PATTERN=int8", of canonical names; the first that fits counts
  int64_t shard_bytes = int64_t{1} << 29;  // of a file, and what is held in memory; a larger matrix has its own
  int threads = 0;                         // 0: all cores
};

struct QuantizeReport {
  int64_t matrices = 0, parameters = 0;         // in codes
  int64_t all_parameters = 0;                   // of the model
  int64_t unfit = 0;                            // matrices that 12 bits have no room for: they are in numbers
  int64_t bytes = 0, source_bytes = 0;          // of all weights, written and read
  int64_t shards = 0, shards_there_before = 0;  // by a run that was interrupted
};

// Writes the model as a folder whose matrices are codes that every verb uses as they lie in the file
// (weights/packed_folder.h), and the same as those of `--weights` at load. Tokenizer, templates and processors are
// copied. The folder appears when it is complete; until then `output`.partial grows shard by shard, and the same call
// goes on with those that are there. For bf12 all matrices are read once before, to know which of them fit. Throws
// Error(usage) for an output that is there and a pattern that fits no matrix, a model without matrices to pack,
// Error(resource) for a full disk, Error(interrupted).
QuantizeReport quantize(const QuantizeRequest& request);

}  // namespace nuri
