#include "weights/gguf_store.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "formats/gguf_blocks.h"
#include "kernels/convert.h"
#include "kernels/quantized.h"
#include "weights/gguf_codes.h"
#include "weights/packing.h"

namespace nuri {
namespace {

constexpr int64_t kMostColumns = 65536;  // of kernels::quantized_products

struct Name {
  std::string_view from, to;
};
constexpr std::array kWhole{Name{"token_embd", "model.embed_tokens"}, Name{"output_norm", "model.norm"},
                            Name{"output", "lm_head"}};
constexpr std::array kOfBlock{
    Name{"attn_norm", "input_layernorm"}, Name{"ffn_norm", "post_attention_layernorm"},
    Name{"attn_q", "self_attn.q_proj"},   Name{"attn_k", "self_attn.k_proj"},
    Name{"attn_v", "self_attn.v_proj"},   Name{"attn_output", "self_attn.o_proj"},
    Name{"ffn_gate", "mlp.gate_proj"},    Name{"ffn_up", "mlp.up_proj"},
    Name{"ffn_down", "mlp.down_proj"},    Name{"ffn_gate_inp", "mlp.gate"},
};
constexpr std::array kOfExpert{Name{"ffn_gate", "w1"}, Name{"ffn_down", "w2"}, Name{"ffn_up", "w3"}};
// Read with the configuration, or nothing but what follows from it.
constexpr std::array<std::string_view, 1> kIgnored{"rope_freqs.weight"};

template <size_t kCount>
std::string_view renamed(const std::array<Name, kCount>& names, std::string_view from) {
  auto found = std::ranges::find(names, from, &Name::from);
  return found == names.end() ? std::string_view() : found->to;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// What a tensor's name consists of: "blk.3.ffn_gate.7.weight".
struct TensorName {
  std::string_view layer, part, expert, kind;  // layer and expert may be empty
};

TensorName take_apart(std::string_view name) {
  TensorName parts;
  const auto head = [&] {
    std::string_view first = name.substr(0, name.find('.'));
    name.remove_prefix(std::min(first.size() + 1, name.size()));
    return first;
  };
  parts.part = head();
  if (parts.part == "blk") parts.layer = head(), parts.part = head();
  if (is_number(name.substr(0, name.find('.')))) parts.expert = head();
  parts.kind = name;
  return parts;
}

// Of a tensor that is one weight; empty for a name that is not known.
std::string canonical_name(const TensorName& name) {
  std::string_view to;
  if (name.kind != "weight" && name.kind != "bias") return {};
  if (name.layer.empty()) {
    to = renamed(kWhole, name.part);
    return to.empty() || !name.expert.empty() ? std::string() : fmt::format("{}.{}", to, name.kind);
  }
  if (!is_number(name.layer)) return {};
  if (!name.expert.empty()) {
    to = renamed(kOfExpert, name.part);
    return to.empty() ? std::string()
                      : fmt::format("model.layers.{}.mlp.experts.{}.{}.{}", name.layer, name.expert, to, name.kind);
  }
  to = renamed(kOfBlock, name.part);
  return to.empty() ? std::string() : fmt::format("model.layers.{}.{}.{}", name.layer, to, name.kind);
}

at::ScalarType number_type(const Gguf& gguf) {
  const auto is_float = [](const GgufTensor& tensor) { return tensor.type == GgmlType::F32; };
  return std::ranges::all_of(gguf.tensors, is_float) ? at::kFloat : at::kBFloat16;
}

std::optional<at::ScalarType> mapped_type(GgmlType type) {
  if (type == GgmlType::F32) return at::kFloat;
  if (type == GgmlType::F16) return at::kHalf;
  if (type == GgmlType::BF16) return at::kBFloat16;
  return {};
}

}  // namespace

int64_t GgufStore::Weight::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

GgufStore::GgufStore(const std::filesystem::path& path, LoadOptions options)
    : file_(std::make_shared<GgufFile>(path)),
      options_(options),
      dtype_(options.dtype.value_or(number_type(file_->content()))),
      heads_(interleaved_heads(file_->metadata())) {
  for (const GgufTensor& tensor : file_->content().tensors) add(tensor);
}

void GgufStore::add(const GgufTensor& tensor) {
  if (std::ranges::find(kIgnored, tensor.name) != kIgnored.end()) return;
  TensorName name = take_apart(tensor.name);
  constexpr std::string_view kTogether = "_exps";
  if (name.part.ends_with(kTogether) && name.expert.empty() && tensor.shape.size() == 3) {
    name.part.remove_suffix(kTogether.size());
    const int64_t rows = tensor.shape[1];
    for (int64_t i = 0; i < tensor.shape[0]; ++i) {
      const std::string number = std::to_string(i);
      name.expert = number;
      add_named(canonical_name(name), {&tensor, {rows, tensor.shape[2]}, i * rows});
    }
    return;
  }
  Weight weight{&tensor, tensor.shape};
  if (!name.layer.empty() && name.part == "attn_q") weight.heads = heads_.query;
  if (!name.layer.empty() && name.part == "attn_k") weight.heads = heads_.key;
  add_named(canonical_name(name), std::move(weight));
}

void GgufStore::add_named(const std::string& name, Weight weight) {
  const GgufTensor& tensor = *weight.tensor;
  if (weight.heads > 0 && weight.shape[0] % (2 * weight.heads) != 0)
    throw Error(ErrorKind::format,
                fmt::format("{}: tensor {}: found {} rows, expected an even number for each of {} heads",
                            file_->path().string(), shown_text(tensor.name), weight.shape[0], weight.heads));
  // A name that is not known stays as it is, and is refused when nobody has taken it.
  auto [known, fresh] = weights_.emplace(name.empty() ? tensor.name : name, std::move(weight));
  if (!fresh)
    throw Error(ErrorKind::format,
                fmt::format("{}: found both {} and {}, which are the same weight", file_->path().string(),
                            shown_text(known->second.tensor->name), shown_text(tensor.name)));
}

const GgufStore::Weight& GgufStore::find(const std::string& name, at::IntArrayRef shape) {
  auto found = weights_.find(name);
  if (found == weights_.end())
    throw Error(ErrorKind::format, fmt::format("{}: no tensor for {} found, expected shape [{}]",
                                               file_->path().string(), name, fmt::join(shape, ", ")));
  const Weight& weight = found->second;
  if (at::IntArrayRef(weight.shape) != shape)
    throw Error(ErrorKind::format,
                fmt::format("{}: tensor {}: found shape [{}], expected [{}]", file_->path().string(),
                            shown_text(weight.tensor->name), fmt::join(weight.shape, ", "), fmt::join(shape, ", ")));
  taken_.insert(name);
  return weight;
}

// Row `index` of the model's weight. In the file the two halves of a head alternate.
const std::byte* GgufStore::row(const Weight& weight, int64_t index) const {
  int64_t there = weight.begin + index;
  if (weight.heads > 0) {
    const int64_t size = weight.shape[0] / weight.heads, half = size / 2, within = index % size;
    there = index - within + within % half * 2 + within / half;
  }
  const bool vector = weight.shape.size() == 1;  // each number is a row
  const int64_t bytes = vector ? block_of(weight.tensor->type).bytes : weight.tensor->row_bytes();
  return file_->data(*weight.tensor).data() + there * bytes;
}

bool GgufStore::is_mapped(const Weight& weight) const {
  auto type = mapped_type(weight.tensor->type);
  if (!type || *type != dtype_ || weight.heads > 0) return false;
  return reinterpret_cast<uintptr_t>(row(weight, 0)) % c10::elementSize(*type) == 0;
}

at::Tensor GgufStore::numbers(const Weight& weight) const {
  auto of = [](at::ScalarType dtype) { return at::TensorOptions().dtype(dtype); };
  if (is_mapped(weight))
    return at::from_blob(
        const_cast<std::byte*>(row(weight, 0)), weight.shape, [keep = file_](void*) {}, of(dtype_));
  at::Tensor made = at::empty(weight.shape, of(dtype_));
  const GgmlType type = weight.tensor->type;
  const int64_t rows = weight.shape[0], columns = weight.elements() / rows;
  const int64_t bytes = columns * static_cast<int64_t>(c10::elementSize(dtype_));
  if (weight.shape.size() == 1 && block_of(type).elements > 1)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: tensor {}: found {} numbers of type {}, expected a matrix or "
                            "the type F32, F16 or BF16",
                            file_->path().string(), shown_text(weight.tensor->name), rows, block_of(type).name));
  auto* to = static_cast<std::byte*>(made.data_ptr());
  parallel_for(0, rows, std::max<int64_t>(1, 16384 / columns), [&](int64_t begin, int64_t end) {
    std::vector<float> line(static_cast<size_t>(columns));
    for (int64_t i = begin; i < end; ++i) {
      dequantize_blocks(type, row(weight, i), columns, line.data());
      kernels::convert(line.data(), kernels::Element::float32, to + i * bytes, element_of(dtype_), columns);
    }
  });
  return made;
}

at::Tensor GgufStore::take(const std::string& name, at::IntArrayRef shape, const Init&) {
  const Weight& weight = find(name, shape);
  if (options_.device.is_meta()) return at::empty(shape, at::TensorOptions().dtype(dtype_).device(at::kMeta));
  return numbers(weight).to(options_.device);
}

std::optional<kernels::Coding> GgufStore::stored_coding(const Weight& weight) const {
  if (options_.device.is_meta() || weight.shape.size() != 2 || weight.shape[1] > kMostColumns) return {};
  return coding_of(weight.tensor->type);
}

std::optional<WeightStore::Codes> GgufStore::codes(const std::string& name, int64_t n, int64_t k) {
  auto found = weights_.find(name);
  if (found == weights_.end()) return {};
  auto coding = stored_coding(found->second);
  if (auto asked = asked_coding(options_, name); asked && !coding) {
    auto packed = pack_in_codes(numbers(find(name, {n, k})), *asked);
    if (!packed) return {};
    packed->dtype = dtype_;
    packed->weight_only = options_.weight_only_device();
    return packed;
  }
  if (!coding) return {};
  const Weight& weight = find(name, {n, k});
  at::Tensor bytes = at::empty({kernels::quantized_bytes(*coding, n, k)}, at::kByte);
  try {
    pack_blocks(
        weight.tensor->type, n, k, [&](int64_t i) { return row(weight, i); }, bytes.data_ptr());
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: tensor {}: {}", file_->path().string(), shown_text(weight.tensor->name),
                                          error.what()));
  }
  return Codes{*coding, bytes, dtype_, options_.weight_only_device()};
}

void GgufStore::expect_all_taken() const {
  for (const auto& [name, weight] : weights_)
    if (!taken_.contains(name))
      throw Error(
          ErrorKind::format,
          fmt::format("{}: found the tensor {} of shape [{}], which this model does not have", file_->path().string(),
                      shown_text(weight.tensor->name), fmt::join(weight.tensor->shape, ", ")));
}

void GgufStore::expect_room() const {
  if (!options_.device.is_cpu()) return;
  int64_t numbers = 0, codes = 0;
  for (const auto& [name, weight] : weights_) {
    auto stored = stored_coding(weight), asked = weight.shape.size() == 2 ? asked_coding(options_, name) : std::nullopt;
    if (stored || asked) codes += kernels::quantized_bytes(stored ? *stored : *asked, weight.shape[0], weight.shape[1]);
    if (!stored && !is_mapped(weight)) numbers += weight.elements();
  }
  const int64_t each = static_cast<int64_t>(c10::elementSize(dtype_));
  if (numbers * each + codes > 0)
    expect_memory(numbers * each + codes, file_->path().string() + ": the weights",
                  fmt::format("{} of them numbers of {} bytes each, {} bytes of codes", numbers, each, codes));
}

}  // namespace nuri
