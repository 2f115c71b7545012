#pragma once

#include <cstdint>
#include <vector>

#include "models/parts/interface.h"

namespace nuri {

// Patches of one picture, or of one video: pairs of frames (a picture is one), rows and columns of each.
struct VisionGrid {
  int64_t time, rows, columns;
  int64_t patches() const { return time * rows * columns; }
};

// `name` [N, 3] of the inputs, for patches [P, ...] that are cut into squares of `merge` patches on a side. Throws
// Error(usage) for a grid that is none, or when the patches of all are not P.
std::vector<VisionGrid> read_grids(const NamedTensors& inputs, const std::string& name, int64_t merge, int64_t patches);

// Places in one frame of the patches as the processor writes them: the `merge` x `merge` patches of a token together.
struct FramePlaces {
  std::vector<int64_t> rows, columns;
};
FramePlaces frame_places(const VisionGrid& grid, int64_t merge);

// The tokens of one frame in the order of windows of `side` x `side` tokens, and how many each window holds; windows at
// the edges are smaller.
struct FrameWindows {
  std::vector<int64_t> order, lengths;
};
FrameWindows frame_windows(const VisionGrid& grid, int64_t merge, int64_t side);

// Positions in time, height and width [3, B, T] of every token, and for each row how far the next token's position lies
// beyond its index.
struct TokenPositions {
  at::Tensor positions;
  std::vector<int64_t> shifts;
};

// The reference's get_rope_index: texts count on, a picture's or video's tokens stand in their grid, and what follows
// goes on behind the longer side. `types` [B, T]: 0 text, 1 picture, 2 video. A video's frames are `intervals`
// positions apart. Throws Error(usage) where tokens and grids do not fit each other.
struct MediaGrids {
  std::vector<VisionGrid> pictures, videos;
  std::vector<double> intervals;  // of each video
  bool single_precision = true;   // in which the reference multiplies them, before it cuts
};
TokenPositions token_positions(const at::Tensor& types, const at::Tensor& mask, const MediaGrids& media, int64_t merge);

}  // namespace nuri
