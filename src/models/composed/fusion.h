#pragma once

#include "models/composed/config.h"
#include "models/parts/text/gated_cross_layer.h"

namespace nuri {

// What a batch of prompts takes of its tiles: rows that stand in the text, and tiles that rows of the text look at.
struct FusedTiles {
  at::Tensor in_text;  // [rows, D], for the image tokens in order; undefined: none
  at::Tensor beside;   // [M, t, D], for the markers in order; undefined: none
  at::Tensor markers;  // [B, T] boolean on the CPU: tokens that stand for a tile of `beside`
};

// Shares out the tiles of all pictures, features [N, t, D] (undefined: none), as the ids [B, T] tell of them: the tag
// of a tile, or with a fixed resolution the image token, stands where the tile belongs. Throws Error(usage) when their
// numbers differ.
FusedTiles fuse_tiles(const ComposedConfig& config, const at::Tensor& ids, const at::Tensor& features);

// Which of n tiles each of T tokens looks at, [T + 1, n], of one prompt's markers [T]: a marker at its own tile,
// another token at every tile told of before it, and so do those that follow the prompt (the last row).
at::Tensor looking(const at::Tensor& markers);

// A layer of gated cross-attention in front of one of the decoder's blocks.
class LookingBlock : public DecoderBlock {
 public:
  LookingBlock(std::unique_ptr<GatedCrossLayer> cross, std::unique_ptr<DecoderBlock> block)
      : cross_(std::move(cross)), block_(std::move(block)) {}
  at::Tensor forward(at::Tensor x, const nn::Angles& angles, nn::AttentionContext& context, const at::Tensor& rows,
                     Tap* tap) const override {
    return block_->forward(cross_->forward(std::move(x), angles, context, {}, tap), angles, context, rows, tap);
  }
  int64_t idle_parameters() const override { return block_->idle_parameters(); }

 private:
  std::unique_ptr<GatedCrossLayer> cross_;
  std::unique_ptr<DecoderBlock> block_;
};

}  // namespace nuri
