#pragma once

#include <ATen/ATen.h>

#include "models/parts/interface.h"

namespace nuri {

// A decoder that is only a table of embeddings [V, D], behind eyes that say what they are told.
class TableModel : public CausalLM, public MediaEncoder {
 public:
  at::Tensor table, rows;

  NamedTensors forward(const NamedTensors&) override { return {}; }
  Limits limits() const override { return {table.size(0), 0, table.size(1)}; }
  nn::CacheShape cache_shape() const override { return {}; }
  at::ScalarType dtype() const override { return at::kFloat; }
  at::Device device() const override { return at::kCPU; }
  std::vector<DecoderInput> embed(const NamedTensors&) override { return {}; }
  at::Tensor embed_made(const at::Tensor& ids) override { return table.index_select(0, ids); }
  at::Tensor step(const Step&, nn::KvCache&) override { return {}; }
  NamedTensors picture_inputs(int64_t, int64_t) const override { return {}; }
  at::Tensor encode_pictures(const NamedTensors&) override { return rows; }
};

}  // namespace nuri
