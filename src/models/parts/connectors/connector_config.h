#pragma once

#include <string>

#include "base/config_reader.h"
#include "models/parts/connectors/qformer_config.h"

namespace nuri {

// What stands between an encoder's grid of patches and a decoder.
struct ConnectorConfig {
  enum class Kind { linear, mlp, pixel_shuffle, spatial_pooling, q_former, perceiver_resampler, c_abstractor } kind;
  int64_t side;        // patches along each side of the grid
  int64_t in, out;     // widths of encoder and decoder
  int64_t factor = 1;  // pixel shuffle, spatial pooling: patches along each side of what becomes one row
  int64_t hidden = 0;  // width between: of the MLP, of the resampler's feed-forward, of the C-Abstractor's convolutions
  int64_t queries = 0;    // rows out of a Q-Former, a resampler, a C-Abstractor
  int64_t depth = 0;      // layers of the resampler; convolution blocks on either side of the C-Abstractor's pooling
  int64_t mlp_depth = 0;  // linear layers behind the C-Abstractor
  int64_t heads = 0;      // of the resampler
  std::string activation = "gelu";
  bool bias = true;
  QFormerConfig q_former = {};

  // Rows for the decoder out of one grid.
  int64_t tokens() const { return queries > 0 ? queries : (side / factor) * (side / factor); }
};

// The table of a connector, whose key `type` is linear, mlp, pixel_shuffle, spatial_pooling, q_former,
// perceiver_resampler or c_abstractor. Throws Error(unsupported) for another, and for a factor that does not divide the
// grid; Error(usage) for a key that the type does not have. `with_text`: a Q-Former has what it takes to read texts.
ConnectorConfig parse_connector_config(const ConfigReader& config, int64_t side, int64_t in, int64_t out,
                                       bool with_text = false);

}  // namespace nuri
