#include "formats/gguf_config.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "formats/gguf_blocks.h"

namespace nuri {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();

// Keys of one architecture: "llama.block_count".
class ArchitectureKeys {
 public:
  explicit ArchitectureKeys(const GgufMetadata& metadata)
      : metadata(metadata), name(metadata.text("general.architecture").value_or("")) {
    if (name != "llama" && name != "qwen2")
      metadata.reject("general.architecture", metadata.has("general.architecture") ? shown_text(name) : "nothing",
                      "llama or qwen2");
  }
  std::string key(std::string_view rest) const { return fmt::format("{}.{}", name, rest); }
  int64_t size(std::string_view rest) const { return metadata.required(key(rest), 1, kMost); }
  int64_t size(std::string_view rest, int64_t fallback) const {
    return metadata.has(key(rest)) ? size(rest) : fallback;
  }

  const GgufMetadata& metadata;
  std::string name;
};

const GgufTensor& token_embeddings(const Gguf& gguf) {
  const GgufTensor* words = gguf.find("token_embd.weight");
  if (words == nullptr || words->shape.size() != 2)
    gguf.metadata.fail("(tensors)", words == nullptr ? "no token_embd.weight" : "a token_embd.weight that is no matrix",
                       "the embeddings of the vocabulary");
  return *words;
}

// The tensor of frequencies' divisors (`rope_freqs.weight`), which llama.cpp's converter makes of Llama 3's scaling.
Json stretched_frequencies(const Gguf& gguf, std::span<const std::byte> file, const GgufTensor& tensor,
                           int64_t head_dim) {
  if (tensor.shape.size() != 1 || tensor.shape[0] != head_dim / 2 || tensor.type != GgmlType::F32)
    gguf.metadata.fail("(tensors)",
                       fmt::format("rope_freqs.weight of {} numbers of type {}", tensor.rows() * tensor.row_elements(),
                                   block_of(tensor.type).name),
                       fmt::format("{} of type F32", head_dim / 2));
  std::vector<float> factors(static_cast<size_t>(tensor.shape[0]));
  dequantize_blocks(tensor.type, file.data() + tensor.offset, tensor.shape[0], factors.data());
  for (float factor : factors)
    if (!(factor > 0) || !std::isfinite(factor))
      gguf.metadata.fail("(tensors)", fmt::format("{} in rope_freqs.weight", factor), "numbers greater than 0");
  return {{"rope_type", "divided"}, {"divisors", factors}};
}

Json rope_scaling(const ArchitectureKeys& keys, const Gguf& gguf, std::span<const std::byte> file, int64_t head_dim) {
  const GgufMetadata& metadata = keys.metadata;
  std::string type = metadata.text(keys.key("rope.scaling.type")).value_or("none");
  auto factor = metadata.number(keys.key("rope.scaling.factor"));
  if (!factor) factor = metadata.number(keys.key("rope.scale_linear"));  // of older files
  if (type == "none" && !metadata.has(keys.key("rope.scaling.type")) && factor.value_or(1) != 1) type = "linear";
  const GgufTensor* divisors = gguf.find("rope_freqs.weight");
  if (type == "linear" && factor.value_or(1) == 0) type = "none";  // as llama.cpp reads a factor of 0
  if (type != "none" && type != "linear")
    metadata.reject(keys.key("rope.scaling.type"), shown_text(type), "none or linear");
  if (divisors != nullptr && type == "linear" && factor.value_or(1) != 1)
    metadata.reject(keys.key("rope.scaling.type"), type, "none beside the tensor rope_freqs.weight");
  if (divisors != nullptr) return stretched_frequencies(gguf, file, *divisors, head_dim);
  if (type == "none") return nullptr;
  return {{"rope_type", "linear"}, {"factor", factor.value_or(1)}};
}

void tell_attention(const ArchitectureKeys& keys, const Gguf& gguf, std::span<const std::byte> file, Json& config) {
  const GgufMetadata& metadata = keys.metadata;
  const int64_t width = keys.size("embedding_length"), heads = keys.size("attention.head_count");
  const int64_t head_dim = keys.size("attention.key_length", std::max<int64_t>(width / heads, 1));
  if (!metadata.has(keys.key("attention.key_length")) && width % heads != 0)
    metadata.fail(keys.key("attention.head_count"), std::to_string(heads), fmt::format("a divisor of {}", width));
  for (const char* same : {"attention.value_length", "rope.dimension_count"})
    if (int64_t found = keys.size(same, head_dim); found != head_dim)
      metadata.reject(keys.key(same), std::to_string(found), fmt::format("the size of a head, {}", head_dim));
  for (const char* other :
       {"attention.sliding_window", "attention.clamp_kqv", "attention.max_alibi_bias", "attention.scale",
        "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "residual_scale", "embedding_scale"})
    if (metadata.has(keys.key(other)) && metadata.number(keys.key(other)) != 0.0)
      metadata.reject(keys.key(other), fmt::format("{}", *metadata.number(keys.key(other))), "nothing");
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = keys.size("attention.head_count_kv", heads);
  config["head_dim"] = head_dim;
  config["rope_theta"] = metadata.number(keys.key("rope.freq_base")).value_or(10000.0);
  config["rope_scaling"] = rope_scaling(keys, gguf, file, head_dim);
}

// A number that was stored as float32 as people write it: 1e-05, not 9.999999747378752e-06.
double as_written(double stored) {
  return stored == static_cast<float>(stored) ? std::stod(fmt::format("{}", static_cast<float>(stored))) : stored;
}

void tell_tokens(const GgufMetadata& metadata, Json& config) {
  const auto id = [&](std::string_view name) {
    return metadata.integer(fmt::format("tokenizer.ggml.{}_token_id", name));
  };
  if (auto bos = id("bos")) config["bos_token_id"] = *bos;
  if (auto pad = id("padding")) config["pad_token_id"] = *pad;
  Json ends = Json::array();  // of a text, a turn, a message to a tool
  for (const char* name : {"eos", "eot", "eom"})
    if (auto end = id(name); end && std::find(ends.begin(), ends.end(), Json(*end)) == ends.end()) ends.push_back(*end);
  if (!ends.empty()) config["eos_token_id"] = ends;
}

}  // namespace

Json gguf_config(const Gguf& gguf, std::span<const std::byte> file) {
  const GgufMetadata& metadata = gguf.metadata;
  ArchitectureKeys keys(metadata);
  const int64_t experts =
      metadata.has(keys.key("expert_count")) ? metadata.required(keys.key("expert_count"), 0, kMost) : 0;
  if (experts > 0 && keys.name != "llama") metadata.reject(keys.key("expert_count"), std::to_string(experts), "none");
  const std::string kind = experts > 0 ? "Mixtral" : keys.name == "qwen2" ? "Qwen2" : "Llama";
  Json config = {{"architectures", {kind + "ForCausalLM"}}};
  config["model_type"] = experts > 0 ? "mixtral" : keys.name;
  config["vocab_size"] = token_embeddings(gguf).shape[0];
  config["hidden_size"] = keys.size("embedding_length");
  config["intermediate_size"] = keys.size("feed_forward_length");
  config["num_hidden_layers"] = keys.size("block_count");
  config["max_position_embeddings"] = keys.size("context_length");
  config["hidden_act"] = "silu";
  auto epsilon = metadata.number(keys.key("attention.layer_norm_rms_epsilon"));
  if (!epsilon) metadata.fail(keys.key("attention.layer_norm_rms_epsilon"), "nothing", "a number");
  config["rms_norm_eps"] = as_written(*epsilon);
  config["tie_word_embeddings"] = gguf.find("output.weight") == nullptr;
  if (kind == "Llama") {
    config["attention_bias"] = gguf.find("blk.0.attn_q.bias") != nullptr;
    config["mlp_bias"] = gguf.find("blk.0.ffn_gate.bias") != nullptr;
  }
  if (experts > 0) {
    config["num_local_experts"] = experts;
    config["num_experts_per_tok"] = keys.size("expert_used_count");
  }
  tell_attention(keys, gguf, file, config);
  tell_tokens(metadata, config);
  return config;
}

GgufHeads interleaved_heads(const GgufMetadata& metadata) {
  ArchitectureKeys keys(metadata);
  if (keys.name != "llama") return {};
  const int64_t heads = keys.size("attention.head_count");
  return {heads, keys.size("attention.head_count_kv", heads)};
}

}  // namespace nuri
