#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

// Checked operators: they know tensors and devices, and no model. Each takes the fastest path that its
// arguments allow; where gradients are wanted, every path keeps the graph.
namespace nuri::ops {

// The type of the activations of a model whose weights have type `weights` and lie on `device`: float32 for weights of
// 16 bits where kernels may run, which round of float32 what they multiply and nothing else: on the CPU, while neither
// gradients nor autocast are on. Elsewhere the weights' own.
at::ScalarType activation_type(at::ScalarType weights, at::Device device);

// x [..., K] times weight [N, K] transposed, plus bias [N] -> [..., N] in x's type. Fast for a weight that is
// contiguous, and for one that is the transposed view of rows [K, N]. Where x is of float32 and the weight of 16 bits,
// here and below, x is rounded to the weight's type if the product needs it.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

enum class Activation { gelu, gelu_tanh, quick_gelu, relu, silu, tanh };
struct PackedWeight;
// Weight [N, K], in numbers or packed, and bias [N], or none, of a product.
struct Factor {
  at::Tensor weight, bias;
  std::shared_ptr<const PackedWeight> packed = {};
  // Kernels that multiply bfloat16 then take x of float32 as two of its numbers (kernels/tile_product.h): of what
  // rounding costs a decoder's distribution a good part comes through its queries and keys (docs/decisions.md).
  bool in_two = false;
};
// Each of linear(x, factor); where kernels do the work, in one call for all, for which threads meet once. With a packed
// weight x is rounded to 8 bits too (kernels/quantized_product.h), but for a gradient.
std::vector<at::Tensor> linears(const at::Tensor& x, std::span<const Factor> factors);

// Products with what comes behind them, in one pass where a kernel can do it: the result is then rounded once.
// activate(linear(x, factor), activation)
at::Tensor linear_activated(const at::Tensor& x, const Factor& factor, Activation activation);
// linear(x, factor) + other [..., N]
at::Tensor linear_added(const at::Tensor& x, const Factor& factor, const at::Tensor& other);
// activate(linear(x, gate), activation) * linear(x, up)
at::Tensor linear_gated(const at::Tensor& x, const Factor& gate, const Factor& up, Activation activation);
// linear(linear_gated(x, gate, up, activation), down), plus other [..., N] unless undefined
at::Tensor feed_forward(const at::Tensor& x, const Factor& gate, const Factor& up, const Factor& down,
                        Activation activation, const at::Tensor& other = {});

// Over the last dimension; computed in float32, result in x's type, which for weights of 16 bits may be float32; an
// undefined weight is all ones. (Zhang and Sennrich 2019)
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon);

// Rotates pairs (i, i + D/2) of x [N, H, D] by the angles whose cosines and sines are [N, D/2]. (Su et al. 2021, in
// the half-split layout of the Hugging Face checkpoints.)
at::Tensor rotate_half(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);
// The same of the pairs (2 i, 2 i + 1), as complex numbers lie: the layout of Meta's checkpoints.
at::Tensor rotate_pairs(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);

// Scaled dot-product attention of query [B, H, T, D] over key and value [B, K, S, D], H a multiple of K, in the query's
// type; queries of float32 are rounded for keys of 16 bits. `mask` is boolean [B or 1, 1, T, S], true where attention
// is allowed, or of a floating type [B or 1, H or 1, T, S], added to the scores; undefined: `causal` decides,
// where the queries are at the positions of the last keys and see none behind their own, and `first_seen` [T], the
// first key that each sees, none before that of the query in front of it; empty: key 0.
at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                     bool causal, double scale, std::span<const int64_t> first_seen = {});
// What is added to a score that must not count: finite, so that a row without any other score stays a number.
double lowest(at::ScalarType type);

// A row of a query that is the last position of its sequence: it sees positions begin .. length - 1, the last of them
// itself, in the blocks table[0], table[1], ...; and the first `sinks` positions.
struct PagedRow {
  int64_t row;
  const int32_t* table;
  int64_t length;
  int64_t begin = 0, sinks = 0;
};
// The keys or the values of a cache, in blocks of 16 positions.
struct PagedNumbers {
  at::Tensor numbers;  // [blocks, K, 16, D]
  at::Tensor scales;   // [blocks, K, 16] float32: the numbers are codes of 8 bits, each stands for code * scale;
                       // undefined: they stand for themselves
};
// Whether paged_attention takes these tensors.
bool can_attend_paged(const at::Tensor& query, const PagedNumbers& keys, const PagedNumbers& values);
// For the chosen rows of query [N, H, D]: attention over keys and values where they lie -> the same rows of `out`
// [N, H * D].
void paged_attention(const at::Tensor& query, const PagedNumbers& keys, const PagedNumbers& values,
                     std::span<const PagedRow> rows, double scale, at::Tensor& out);

// Row i of x [N, K, D] becomes position offsets[i] of block blocks[i], rounded to what the cache holds; both [N] int64.
// Codes are the nearest, with the greatest amount of a row's head / 127 for its scale.
void store_paged(const at::Tensor& x, const at::Tensor& blocks, const at::Tensor& offsets, PagedNumbers& cache);
// The positions of the chosen blocks [n] int64, one after the other, as numbers of that type: [K, n * 16, D]
at::Tensor gather_paged(const PagedNumbers& cache, const at::Tensor& blocks, at::ScalarType type);
// The heads' positions at these places, int64 of any shape, as numbers of that type: [..., D]. Position p of head h in
// block b lies at (b * K + h) * 16 + p.
at::Tensor gather_places(const PagedNumbers& cache, const at::Tensor& places, at::ScalarType type);

// By the reference's name ("gelu_pytorch_tanh"); nothing for a name that is not known.
std::optional<Activation> activation_from_name(std::string_view name);
at::Tensor activate(const at::Tensor& x, Activation activation);

// act(gate) * up, of one shape.
at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation);

// Gives kernels libtorch's threads; 0: as many as libtorch chooses. Called once by whoever starts work. Throws
// Error(usage) for more than 1024, Error(resource) when a limit on address space leaves no room for their stacks.
void use_torch_threads(int threads);

}  // namespace nuri::ops
