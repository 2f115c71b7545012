#include "models/composed/fusion.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

using Fusion = ComposedConfig::Fusion;

at::Tensor any_of(const at::Tensor& ids, std::vector<int64_t> wanted) {
  return at::isin(ids, at::tensor(wanted, at::kLong));
}

void expect_as_many(int64_t tokens, int64_t tiles, const char* what) {
  if (tokens != tiles)
    throw Error(ErrorKind::usage,
                fmt::format("input_ids: found {} {} for {} tiles of pictures, expected as many", tokens, what, tiles));
}

int64_t count(const at::Tensor& places) { return places.sum().item<int64_t>(); }

}  // namespace

FusedTiles fuse_tiles(const ComposedConfig& config, const at::Tensor& ids, const at::Tensor& features) {
  int64_t tiles = features.defined() ? features.size(0) : 0;
  FusedTiles fused{{}, {}, at::zeros(ids.sizes(), at::kBool)};
  if (config.fusion == Fusion::unified) {
    if (tiles > 0) fused.in_text = features.flatten(0, 1);
    return fused;
  }
  if (config.fusion == Fusion::cross_attention) {
    std::vector<int64_t> marks = config.tagged() ? config.tile_tags : std::vector<int64_t>{config.image_token};
    if (config.thumbnail_tag >= 0) marks.push_back(config.thumbnail_tag);
    fused.markers = any_of(ids, marks);
    expect_as_many(count(fused.markers), tiles, config.tagged() ? "tile tags" : "image tokens");
    fused.beside = features;
    return fused;
  }
  at::Tensor whole = ids == config.thumbnail_tag;
  fused.markers = any_of(ids, config.tile_tags);
  at::Tensor tags = whole | fused.markers;
  expect_as_many(count(tags), tiles, "tile tags");
  if (tiles == 0) return fused;
  at::Tensor whole_tiles = whole.masked_select(tags);  // [N], in the order of the tiles
  auto chosen = [&](const at::Tensor& which) {
    at::Tensor indices = which.nonzero().squeeze(1).to(features.device());
    return indices.numel() > 0 ? features.index_select(0, indices) : at::Tensor();
  };
  fused.in_text = chosen(whole_tiles);
  if (fused.in_text.defined()) fused.in_text = fused.in_text.flatten(0, 1);
  fused.beside = chosen(whole_tiles.logical_not());
  return fused;
}

at::Tensor looking(const at::Tensor& markers) {
  at::Tensor rows = at::arange(markers.size(0), at::kLong).unsqueeze(1), places = markers.nonzero().view({1, -1});
  at::Tensor looks = (rows == places) | ((rows > places) & markers.logical_not().unsqueeze(1));
  return at::cat({looks, at::ones({1, places.size(1)}, at::kBool)});
}

}  // namespace nuri
