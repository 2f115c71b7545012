#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

// Checked operators: they know tensors and devices, and no model. Each takes the fastest path that its
// arguments allow; where gradients are wanted, every path keeps the graph.
namespace nuri::ops {

// x [..., K] times weight [N, K] transposed, plus bias [N] -> [..., N].
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

// Weight [N, K] and bias [N], or none, of a product.
struct Factor {
  at::Tensor weight, bias;
};
// Each of linear(x, factor); where kernels do the work, in one call for all, for which threads meet once.
std::vector<at::Tensor> linears(const at::Tensor& x, std::span<const Factor> factors);

// Over the last dimension; computed in float32, result in x's type. (Zhang and Sennrich 2019)
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, double epsilon);

// Rotates pairs (i, i + D/2) of x [N, H, D] by the angles whose cosines and sines are [N, D/2]. (Su et al. 2021, in
// the half-split layout of the Hugging Face checkpoints.)
at::Tensor rotate_half(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine);

// Scaled dot-product attention of query [B, H, T, D] over key and value [B, K, S, D], H a multiple of K.
// `mask` [B or 1, 1, T, S] is boolean, true where attention is allowed; undefined: `causal` decides.
at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                     bool causal, double scale);

// A row of a query that is the last position of its sequence: it sees `length` positions, itself included, in the
// blocks table[0], table[1], ...
struct PagedRow {
  int64_t row;
  const int32_t* table;
  int64_t length;
};
// Whether paged_attention takes these tensors.
bool can_attend_paged(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values);
// For the chosen rows of query [N, H, D]: attention over keys and values [blocks, K, 16, D] where they lie, to the
// last `window` positions (0: all) -> the same rows of `out` [N, H * D].
void paged_attention(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                     std::span<const PagedRow> rows, double scale, int64_t window, at::Tensor& out);

// Row i of x [N, K, D] becomes position offsets[i] of block blocks[i] of `cache` [blocks, K, 16, D]; both [N] int64.
void store_paged(const at::Tensor& x, const at::Tensor& blocks, const at::Tensor& offsets, at::Tensor& cache);

enum class Activation { gelu, gelu_tanh, quick_gelu, relu, silu, tanh };
// By the reference's name ("gelu_pytorch_tanh"); nothing for a name that is not known.
std::optional<Activation> activation_from_name(std::string_view name);
at::Tensor activate(const at::Tensor& x, Activation activation);

// act(gate) * up, of one shape.
at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation activation);

// Gives kernels libtorch's threads; 0: as many as libtorch chooses. Called once by whoever starts work. Throws
// Error(usage) for more than 1024, Error(resource) when a limit on address space leaves no room for their stacks.
void use_torch_threads(int threads);

}  // namespace nuri::ops
