#include "models/qwen2_vl/grid.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "models/parts/inputs.h"

namespace nuri {

std::vector<VisionGrid> read_grids(const NamedTensors& inputs, const std::string& name, int64_t merge,
                                   int64_t patches) {
  at::Tensor found = whole_input(inputs, name, 2).cpu().contiguous();
  check_shape(found, {found.size(0), 3}, name.c_str());
  const int64_t* sizes = found.const_data_ptr<int64_t>();
  std::vector<VisionGrid> grids;
  int64_t left = patches;
  for (int64_t i = 0; i < found.size(0); ++i, sizes += 3) {
    VisionGrid grid{sizes[0], sizes[1], sizes[2]};
    if (grid.time < 1 || grid.rows < 1 || grid.columns < 1 || grid.rows % merge != 0 || grid.columns % merge != 0)
      throw Error(ErrorKind::usage, fmt::format("{}: found [{}, {}, {}], expected sizes from 1, the last two multiples "
                                                "of {}",
                                                name, grid.time, grid.rows, grid.columns, merge));
    // Divided, since the product of hostile sizes may be no number.
    if (grid.rows > left / grid.time || grid.columns > left / grid.time / grid.rows)
      throw Error(ErrorKind::usage, fmt::format("{}: found [{}, {}, {}], expected no more than the {} patches left",
                                                name, grid.time, grid.rows, grid.columns, left));
    left -= grid.patches();
    grids.push_back(grid);
  }
  if (left != 0)
    throw Error(ErrorKind::usage,
                fmt::format("{}: found {} patches in all, expected {}", name, patches - left, patches));
  return grids;
}

FramePlaces frame_places(const VisionGrid& grid, int64_t merge) {
  FramePlaces places;
  for (int64_t row = 0; row < grid.rows; row += merge)
    for (int64_t column = 0; column < grid.columns; column += merge)
      for (int64_t i = 0; i < merge * merge; ++i) {
        places.rows.push_back(row + i / merge);
        places.columns.push_back(column + i % merge);
      }
  return places;
}

FrameWindows frame_windows(const VisionGrid& grid, int64_t merge, int64_t side) {
  int64_t rows = grid.rows / merge, columns = grid.columns / merge;
  FrameWindows windows;
  for (int64_t top = 0; top < rows; top += side)
    for (int64_t left = 0; left < columns; left += side) {
      int64_t bottom = std::min(top + side, rows), right = std::min(left + side, columns);
      for (int64_t row = top; row < bottom; ++row)
        for (int64_t column = left; column < right; ++column) windows.order.push_back(row * columns + column);
      windows.lengths.push_back((bottom - top) * (right - left));
    }
  return windows;
}

namespace {

// Writes the positions of one row's tokens, one after the other.
class RowPositions {
 public:
  explicit RowPositions(int64_t merge) : merge_(merge) {}

  void add_text(int64_t count) {
    for (int64_t i = 0; i < count; ++i, ++next_) add(next_, next_, next_);
  }
  // step(t): how far pair of frames t lies behind the first.
  template <class Step>
  void add_grid(const VisionGrid& grid, const Step& step) {
    for (int64_t t = 0; t < grid.time; ++t)
      for (int64_t row = 0; row < grid.rows / merge_; ++row)
        for (int64_t column = 0; column < grid.columns / merge_; ++column)
          add(next_ + step(t), next_ + row, next_ + column);
    next_ += std::max(grid.rows, grid.columns) / merge_;
  }

  const std::vector<int64_t>& plane(size_t i) const { return planes_[i]; }
  int64_t length() const { return static_cast<int64_t>(planes_[0].size()); }
  int64_t shift() const { return length() == 0 ? 0 : largest_ + 1 - length(); }

 private:
  void add(int64_t time, int64_t row, int64_t column) {
    planes_[0].push_back(time), planes_[1].push_back(row), planes_[2].push_back(column);
    largest_ = std::max({largest_, time, row, column});
  }

  int64_t merge_, next_ = 0, largest_ = 0;
  std::array<std::vector<int64_t>, 3> planes_;
};

// Hands out grids in the order in which their tokens stand.
struct NextGrids {
  const MediaGrids& media;
  int64_t merge;
  size_t pictures = 0, videos = 0;

  void add(RowPositions& row, int64_t type, int64_t count) {
    bool video = type == 2;
    const auto& grids = video ? media.videos : media.pictures;
    size_t& next = video ? videos : pictures;
    const char* name = video ? "video_grid_thw" : "image_grid_thw";
    if (next >= grids.size())
      throw Error(ErrorKind::usage, fmt::format("{}: found {} grids, expected one for each run of tokens of that kind",
                                                name, grids.size()));
    const VisionGrid& grid = grids[next];
    if (grid.patches() / (merge * merge) != count)
      throw Error(ErrorKind::usage,
                  fmt::format("mm_token_type_ids: found {} tokens in a row for grid {} of {}, expected {}", count, next,
                              name, grid.patches() / (merge * merge)));
    double interval = video ? media.intervals[next] : 1.0;
    ++next;
    row.add_grid(grid, [&](int64_t t) {
      return media.single_precision ? static_cast<int64_t>(static_cast<float>(t) * static_cast<float>(interval))
                                    : static_cast<int64_t>(static_cast<double>(t) * interval);
    });
  }
};

}  // namespace

TokenPositions token_positions(const at::Tensor& types, const at::Tensor& mask, const MediaGrids& media,
                               int64_t merge) {
  int64_t batch = types.size(0), length = types.size(1);
  TokenPositions result{at::zeros({3, batch, length}, at::kLong), {}};
  NextGrids grids{media, merge};
  for (int64_t b = 0; b < batch; ++b) {
    at::Tensor kept = mask.defined() ? mask[b].nonzero().squeeze(1) : at::arange(length, at::kLong);
    at::Tensor row_types = types[b].index_select(0, kept).contiguous();
    const int64_t* type = row_types.const_data_ptr<int64_t>();
    RowPositions row(merge);
    for (int64_t begin = 0, end, count = kept.size(0); begin < count; begin = end) {
      if (type[begin] < 0 || type[begin] > 2)
        throw Error(ErrorKind::usage, fmt::format("mm_token_type_ids: found {}, expected 0, 1 or 2", type[begin]));
      for (end = begin; end < count && type[end] == type[begin];) ++end;
      if (type[begin] == 0)
        row.add_text(end - begin);
      else
        grids.add(row, type[begin], end - begin);
    }
    for (int64_t plane = 0; plane < 3; ++plane)
      result.positions[plane][b].index_copy_(0, kept, at::tensor(row.plane(plane), at::kLong));
    result.shifts.push_back(row.shift());
  }
  return result;
}

}  // namespace nuri
