#include "models/qwen2_vl/vision.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/parts/inputs.h"
#include "models/parts/vision/vision_tower.h"

namespace nuri {
namespace {

constexpr int64_t kPiece = 1024;        // rows that are worked on at a time where no graph is kept
constexpr int64_t kHeadRows = 1 << 18;  // rows of a picture times heads that attend at a time

// Calls piece(begin, count) for rows [begin, begin + rows).
template <class Piece>
void for_pieces(int64_t begin, int64_t rows, const Piece& piece) {
  int64_t most = at::GradMode::is_enabled() ? rows : kPiece;
  for (int64_t end = begin + rows; begin < end; begin += most) piece(begin, std::min(most, end - begin));
}

// make(begin, count) for all rows [begin, begin + rows), one piece behind the other.
template <class Make>
at::Tensor in_pieces(int64_t begin, int64_t rows, const Make& make) {
  if (at::GradMode::is_enabled() || rows <= kPiece) return make(begin, rows);
  at::Tensor all;
  for_pieces(begin, rows, [&](int64_t from, int64_t count) {
    at::Tensor piece = make(from, count);
    if (!all.defined()) {
      std::vector<int64_t> shape = piece.sizes().vec();
      shape[0] = rows;
      all = at::empty(shape, piece.options());
    }
    all.narrow(0, from - begin, count).copy_(piece);
  });
  return all;
}

// x plus what is added to its rows, in order: in place, so that nothing else is there for all rows at once; where a
// graph is kept, at the end.
class RowSum {
 public:
  explicit RowSum(at::Tensor x) : x_(std::move(x)), in_place_(!at::GradMode::is_enabled()) {}
  at::Tensor rows(int64_t begin, int64_t count) const { return x_.narrow(0, begin, count); }
  void add(int64_t begin, const at::Tensor& change) {
    if (in_place_)
      x_.narrow(0, begin, change.size(0)).add_(change);
    else
      changes_.push_back(change);
  }
  at::Tensor sum() const { return changes_.empty() ? x_ : x_ + at::cat(changes_); }

 private:
  at::Tensor x_;
  bool in_place_;
  std::vector<at::Tensor> changes_;
};

nn::Angles narrow(const nn::Angles& angles, int64_t begin, int64_t count) {
  return {angles.cosine.narrow(0, begin, count), angles.sine.narrow(0, begin, count)};
}

// Attention whose three projections lie in one matrix, "qkv".
class VisionAttention {
 public:
  VisionAttention(const WeightView& weights, const QwenVisionConfig& config)
      : heads_(config.heads),
        head_dim_(config.head_dim()),
        weight_((weights / "qkv").get("weight", {3 * config.width, config.width})),
        bias_((weights / "qkv").get("bias", {3 * config.width}, Init::constant(0))),
        output_(weights / "proj", config.width, config.width, true) {}

  struct Heads {
    int64_t begin, count;
  };
  Heads heads() const { return {0, heads_}; }
  int64_t head_dim() const { return head_dim_; }

  // Of some heads for rows x [T, D]: queries, keys and values, each [T, heads, d].
  std::array<at::Tensor, 3> project(const at::Tensor& x, const nn::Angles& angles, Heads heads) const {
    auto turned = [&](const at::Tensor& rows) { return ops::rotate_half(rows, angles.cosine, angles.sine); };
    return {turned(project(x, 0, heads)), turned(project(x, 1, heads)), project(x, 2, heads)};
  }

  // Of rows in `groups` that attend within themselves: [groups * T, heads, d] -> [groups * T, heads * d]
  at::Tensor attend(const std::array<at::Tensor, 3>& rows, int64_t groups) const {
    at::Tensor out = ops::attention(in_groups(rows[0], groups), in_groups(rows[1], groups), in_groups(rows[2], groups),
                                    {}, false, 1.0 / std::sqrt(static_cast<double>(head_dim_)));
    return out.transpose(1, 2).reshape({rows[0].size(0), -1});
  }

  at::Tensor output(const at::Tensor& x) const { return output_(x); }  // [T, H * d] -> [T, D]

 private:
  // [groups * T, heads, d] -> [groups, heads, T, d]
  static at::Tensor in_groups(const at::Tensor& rows, int64_t groups) {
    return rows.view({groups, rows.size(0) / groups, rows.size(1), rows.size(2)}).transpose(1, 2);
  }

  at::Tensor project(const at::Tensor& x, int64_t part, Heads heads) const {
    int64_t begin = (part * heads_ + heads.begin) * head_dim_, width = heads.count * head_dim_;
    at::Tensor y = ops::linear(x, weight_.narrow(0, begin, width), bias_.narrow(0, begin, width));
    return y.view({x.size(0), heads.count, head_dim_});
  }

  int64_t heads_, head_dim_;
  at::Tensor weight_, bias_;
  nn::Linear output_;
};

template <class Norm, class Mlp>
class Layer : public QwenVisionLayer {
 public:
  Layer(const WeightView& weights, const QwenVisionConfig& config, Mlp mlp)
      : attention_norm_(weights / "norm1", config.width, kEpsilon),
        mlp_norm_(weights / "norm2", config.width, kEpsilon),
        attention_(weights / "attn", config),
        mlp_(std::move(mlp)) {}

  at::Tensor forward(at::Tensor x, const nn::Angles& angles, const std::vector<RowGroups>& groups) const override {
    RowSum attended(std::move(x));
    for (const RowGroups& group : groups) attend(attended, angles, group);
    RowSum whole(attended.sum());
    for_pieces(0, angles.cosine.size(0),
               [&](int64_t begin, int64_t count) { whole.add(begin, mlp_(mlp_norm_(whole.rows(begin, count)))); });
    return whole.sum();
  }

  static constexpr double kEpsilon = 1e-6;

 private:
  void attend(RowSum& x, const nn::Angles& angles, const RowGroups& group) const {
    nn::Angles turns = narrow(angles, group.begin, group.rows());
    if (group.rows() > kPiece && !at::GradMode::is_enabled()) return attend_by_heads(x, turns, group);
    at::Tensor normed = attention_norm_(x.rows(group.begin, group.rows()));
    at::Tensor drawn = attention_.attend(attention_.project(normed, turns, attention_.heads()), group.count);
    x.add(group.begin, attention_.output(drawn));
  }

  // A few heads behind each other: what they draw is there for all rows, their queries, keys and values are not.
  void attend_by_heads(RowSum& x, const nn::Angles& angles, const RowGroups& group) const {
    int64_t rows = group.rows(), all = attention_.heads().count, dim = attention_.head_dim();
    int64_t most = std::max<int64_t>(kHeadRows / rows, 1);
    at::Tensor drawn;  // [rows, H * d]
    for (int64_t head = 0; head < all; head += most) {
      VisionAttention::Heads heads{head, std::min(most, all - head)};
      std::array<at::Tensor, 3> parts;
      for_pieces(0, rows, [&](int64_t begin, int64_t count) {
        at::Tensor normed = attention_norm_(x.rows(group.begin + begin, count));
        auto made = attention_.project(normed, narrow(angles, begin, count), heads);
        for (size_t i = 0; i < parts.size(); ++i) {
          if (!parts[i].defined()) parts[i] = at::empty({rows, heads.count, dim}, made[i].options());
          parts[i].narrow(0, begin, count).copy_(made[i]);
        }
      });
      if (!drawn.defined()) drawn = at::empty({rows, all * dim}, parts[0].options());
      drawn.narrow(1, heads.begin * dim, heads.count * dim).copy_(attention_.attend(parts, group.count));
    }
    for_pieces(0, rows, [&](int64_t begin, int64_t count) {
      x.add(group.begin + begin, attention_.output(drawn.narrow(0, begin, count)));
    });
  }

  Norm attention_norm_, mlp_norm_;
  VisionAttention attention_;
  Mlp mlp_;
};

std::unique_ptr<QwenVisionLayer> make_layer(const WeightView& weights, const QwenVisionConfig& config) {
  if (config.kind == QwenVisionConfig::Kind::qwen2) {
    EncoderConfig sizes{config.width, config.hidden, config.layers, config.heads, 1e-6, config.activation};
    return std::make_unique<Layer<nn::LayerNorm, EncoderMlp>>(weights, config, EncoderMlp(weights / "mlp", sizes));
  }
  nn::GatedMlp mlp(weights / "mlp", config.width, config.hidden, activation_named(config.activation, "hidden_act"),
                   /*bias=*/true);
  return std::make_unique<Layer<nn::RmsNorm, nn::GatedMlp>>(weights, config, std::move(mlp));
}

std::function<at::Tensor(const at::Tensor&)> make_norm(const WeightView& weights, const QwenVisionConfig& config) {
  if (config.kind == QwenVisionConfig::Kind::qwen2) return nn::LayerNorm(weights, config.width, 1e-6);
  return nn::RmsNorm(weights, config.width, 1e-6);
}

// `count` groups of `length` rows behind those there are; pieces of no more than kPiece rows, or of one group.
void add_groups(std::vector<RowGroups>& groups, int64_t count, int64_t length) {
  int64_t begin = groups.empty() ? 0 : groups.back().begin + groups.back().rows();
  int64_t most = std::max<int64_t>(kPiece / length, 1);
  if (!groups.empty() && groups.back().length == length) {
    int64_t joined = std::min(count, std::max<int64_t>(most - groups.back().count, 0));
    groups.back().count += joined, begin += joined * length, count -= joined;
  }
  for (; count > 0; count -= most) {
    groups.push_back({begin, std::min(most, count), length});
    begin += groups.back().rows();
  }
}

}  // namespace

QwenVision::QwenVision(const WeightView& weights, const QwenVisionConfig& config)
    : config_(config),
      patch_weight_(
          (weights / "patch_embed" / "proj")
              .get("weight", {config.width, config.channels, config.temporal_patch, config.patch, config.patch})),
      norm_(make_norm(weights / "merger" / "ln_q", config)),
      merge_first_(weights / "merger" / "mlp" / 0, config.width * config.merge * config.merge,
                   config.width * config.merge * config.merge, true),
      merge_second_(weights / "merger" / "mlp" / 2, config.width * config.merge * config.merge, config.out_width,
                    true) {
  for (int64_t layer = 0; layer < config.layers; ++layer)
    layers_.push_back(make_layer(weights / "blocks" / layer, config));
}

at::Tensor QwenVision::encode(const at::Tensor& patches, const std::vector<VisionGrid>& grids) const {
  std::vector<at::Tensor> merged;
  int64_t begin = 0;
  for (const VisionGrid& grid : grids) {
    // No frame looks at another.
    int64_t frame = grid.rows * grid.columns, most = std::max<int64_t>(kPiece / frame, 1);
    for (int64_t done = 0; done < grid.time; done += most) {
      VisionGrid part{std::min(most, grid.time - done), grid.rows, grid.columns};
      merged.push_back(encode_frames(patches.narrow(0, begin, part.patches()), part));
      begin += part.patches();
    }
  }
  return merged.size() == 1 ? merged[0] : at::cat(merged);
}

namespace {

// Rows of `units` tokens' patches, as indices of patches, for each of `frames`.
at::Tensor patch_order(const std::vector<int64_t>& units, int64_t unit, int64_t frames) {
  int64_t tokens = static_cast<int64_t>(units.size());
  at::Tensor frame = at::arange(frames, at::kLong).view({frames, 1, 1}) * (tokens * unit);
  at::Tensor token = at::tensor(units, at::kLong).view({1, tokens, 1}) * unit;
  return (frame + token + at::arange(unit, at::kLong).view({1, 1, unit})).reshape({-1});
}

std::vector<RowGroups> windows_of(const FrameWindows& windows, int64_t unit, int64_t frames) {
  std::vector<RowGroups> groups;
  for (int64_t frame = 0; frame < frames; ++frame)
    for (int64_t length : windows.lengths) add_groups(groups, 1, length * unit);
  return groups;
}

}  // namespace

at::Tensor QwenVision::encode_frames(const at::Tensor& patches, const VisionGrid& grid) const {
  bool windowed = config_.kind == QwenVisionConfig::Kind::qwen2_5;
  int64_t unit = config_.merge * config_.merge, tokens = grid.rows * grid.columns / unit;
  FrameWindows windows = frame_windows(grid, config_.merge, windowed ? config_.window_units() : tokens);
  at::Tensor order = patch_order(windows.order, unit, grid.time);
  nn::Angles angles = this->angles(grid, order);
  std::vector<RowGroups> whole, parts = windows_of(windows, unit, grid.time);
  add_groups(whole, grid.time, grid.rows * grid.columns);

  at::Device device = patch_weight_.device();
  at::Tensor weight = patch_weight_.view({config_.width, -1}), chosen = order.to(patches.device());
  at::Tensor x = in_pieces(0, grid.patches(), [&](int64_t begin, int64_t count) {
    at::Tensor piece = patches.index_select(0, chosen.narrow(0, begin, count));
    return ops::linear(piece.to(device, weight.scalar_type()), weight);
  });
  for (size_t layer = 0; layer < layers_.size(); ++layer)
    x = layers_[layer]->forward(std::move(x), angles, windowed && !config_.full_attention[layer] ? parts : whole);
  // [F * tokens, out_width], back in the order of the picture
  at::Tensor back = patch_order(windows.order, 1, grid.time).argsort();
  return merge(x).index_select(0, back.to(device));
}

// For each patch in its order [F * rows * columns]: the frequencies turn with its row, then again with its column.
nn::Angles QwenVision::angles(const VisionGrid& grid, const at::Tensor& order) const {
  int64_t half = config_.head_dim() / 2;
  at::Tensor frequencies = 1.0 / at::pow(config_.theta, at::arange(0, half, 2, at::kFloat) / half);
  FramePlaces places = frame_places(grid, config_.merge);
  auto turned = [&](const std::vector<int64_t>& place) {
    return at::tensor(place, at::kLong).to(at::kFloat).unsqueeze(-1) * frequencies;
  };
  at::Tensor angle = at::cat({turned(places.rows), turned(places.columns)}, -1);
  angle = angle.index_select(0, order.remainder(grid.rows * grid.columns)).to(patch_weight_.device());
  return {angle.cos(), angle.sin()};
}

at::Tensor QwenVision::merge(const at::Tensor& x) const {
  int64_t unit = config_.merge * config_.merge;
  return in_pieces(0, x.size(0) / unit, [&](int64_t begin, int64_t count) {
    at::Tensor rows = norm_(x.narrow(0, begin * unit, count * unit)).view({count, -1});
    return merge_second_(merge_first_.activated(rows, ops::Activation::gelu));
  });
}

}  // namespace nuri
