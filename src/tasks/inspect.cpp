#include "tasks/inspect.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "base/memory.h"
#include "ops/count.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"
#include "weights/model_config.h"
#include "weights/packing.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostParameters = int64_t{1} << 50;  // so that no product below overflows
constexpr int64_t kGroup = 32, kScaleBytes = 2;

bool has_weights(const fs::path& path) {
  return is_gguf_model(path) || fs::exists(path / "model.safetensors") ||
         fs::exists(path / "model.safetensors.index.json");
}

std::optional<at::ScalarType> dtype_named(const std::string& name) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float16") return at::kHalf;
  return {};
}

std::string name_of_dtype(at::ScalarType dtype) {
  return dtype == at::kFloat      ? "float32"
         : dtype == at::kBFloat16 ? "bfloat16"
         : dtype == at::kHalf     ? "float16"
                                  : "float64";
}

// Without weights their type is what the configuration says: `dtype`, or `torch_dtype` in older files.
at::ScalarType configured_dtype(const ConfigReader& config) {
  for (const ConfigReader& place : {config, config.child_or_empty("text_config")})
    for (const char* key : {"dtype", "torch_dtype"}) {
      if (!place.has(key)) continue;
      Json value = place.required<Json>(key);
      auto known = value.is_string() ? dtype_named(value.get<std::string>()) : std::nullopt;
      if (known) return *known;
    }
  return *dtype_named(config.optional<std::string>("dtype", "float32"));
}

// A model on the meta device: shapes and types without values.
struct Skeleton {
  std::unique_ptr<Model> model;
  std::vector<NamedTensor> parameters;
  std::unordered_map<std::string, Matrix> coded;  // those of them that the file holds in codes
  bool from_weights;
};

Skeleton build(const fs::path& path, const ConfigReader& config, const Family& family,
               std::optional<at::ScalarType> dtype) {
  if (has_weights(path)) {
    auto store = open_store(path, family.names(config), LoadOptions{dtype, at::kMeta});
    WeightView weights(store);
    auto model = family.make(config, weights);
    store->expect_all_taken();
    return {std::move(model), weights.ledger(), weights.coded(), true};
  }
  WeightView weights(std::make_shared<ShapeStore>(dtype ? *dtype : configured_dtype(config)));
  auto model = family.make(config, weights);
  return {std::move(model), weights.ledger(), {}, false};
}

// "model.layers.0.mlp.up_proj.weight" -> "model.layers": at most the first two scopes around a weight.
std::string module_of(const std::string& name) {
  auto first = name.find('.');
  if (first == std::string::npos) return name;
  auto second = name.find('.', first + 1);
  return name.substr(0, second == std::string::npos ? first : second);
}

Json count_parameters(const std::vector<NamedTensor>& parameters, const Model& model, const std::string& file) {
  int64_t total = 0, trained = 0;
  std::vector<std::string> frozen = model.frozen_parts();
  Json by_module = Json::object();
  for (const auto& [name, tensor] : parameters) {
    total += tensor.numel();
    if (tensor.numel() > kMostParameters || total > kMostParameters)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: found a model of more than 2^50 parameters, expected fewer", file));
    if (std::ranges::none_of(frozen, [&](const std::string& part) { return name.starts_with(part); }))
      trained += tensor.numel();
    Json& sum = by_module[module_of(name)];
    sum = sum.is_null() ? tensor.numel() : sum.get<int64_t>() + tensor.numel();
  }
  return {
      {"total", total}, {"active", total - model.idle_parameters()}, {"trained", trained}, {"by_module", by_module}};
}

struct Quantised {
  int64_t bytes = 0, scales = 0;
};

// Matrices in groups along a row, each with a scale; vectors stay in 16 bits.
Quantised quantised_bytes(const std::vector<NamedTensor>& parameters, int64_t bits) {
  Quantised sum;
  for (const auto& [name, tensor] : parameters) {
    if (tensor.dim() < 2) {
      sum.bytes += 2 * tensor.numel();
      continue;
    }
    int64_t rows = tensor.size(0), columns = rows > 0 ? tensor.numel() / rows : 0;
    int64_t scales = rows * ((columns + kGroup - 1) / kGroup) * kScaleBytes;
    sum.bytes += rows * ((columns * bits + 7) / 8) + scales;
    sum.scales += scales;
  }
  return sum;
}

void tell_bytes(const std::vector<NamedTensor>& parameters, int64_t total, Json& told) {
  Quantised int8 = quantised_bytes(parameters, 8), int4 = quantised_bytes(parameters, 4);
  told["bytes"] = {{"float32", 4 * total},
                   {"bfloat16", 2 * total},
                   {"float16", 2 * total},
                   {"int8", int8.bytes},
                   {"int4", int4.bytes}};
  told["scale_bytes"] = {{"int8", int8.scales}, {"int4", int4.scales}};
  told["quantised_as"] =
      fmt::format("matrices in groups of {} along a row, each with a float16 scale; vectors in bfloat16", kGroup);
}

// One token behind nothing, as the decode loop runs it.
void decode_one(CausalLM& model) {
  nn::KvCache cache(model.cache_shape(), 1, model.dtype(), model.device());
  nn::CachedSequence sequence(cache);
  auto options = at::TensorOptions().device(model.device());
  Step step{at::empty({1, model.limits().width}, options.dtype(model.activation_type())),
            at::empty({1}, options.dtype(at::kLong)),
            {{0, 1, &sequence}},
            {0}};
  model.step(step, cache);
}

// A whole number where JSON's readers keep it exact.
Json whole(double count) { return count < 0x1p53 ? Json(static_cast<int64_t>(count)) : Json(count); }

void tell_work(Model& model, const fs::path& path, const InspectRequest& request, Json& told) {
  for (const char* key : {"context_length", "kv_bytes_per_token", "kv_bytes_per_token_int8", "flops_per_token",
                          "flops_per_picture", "tokens_per_picture"})
    told[key] = nullptr;
  auto* decoder = dynamic_cast<CausalLM*>(&model);
  if (decoder != nullptr) {
    told["context_length"] = decoder->limits().context;
    auto bytes_of = [&](nn::CacheType type) {
      return nn::KvCache::bytes(decoder->cache_shape(), 1, decoder->dtype(), type) / nn::KvCache::kBlock;
    };
    told["kv_bytes_per_token"] = bytes_of(nn::CacheType::native);
    told["kv_bytes_per_token_int8"] = bytes_of(nn::CacheType::int8);
    told["flops_per_token"] = whole(ops::count_products([&] { decode_one(*decoder); }));
  }
  if (auto* eyes = dynamic_cast<MediaEncoder*>(&model)) {
    at::Tensor seen;
    NamedTensors picture = picture_of_size(path, *eyes, request.width, request.height);
    told["flops_per_picture"] = whole(ops::count_products([&] { seen = eyes->encode_pictures(picture); }));
    if (decoder != nullptr) told["tokens_per_picture"] = seen.size(0);
  }
}

// -> bytes of all weights
int64_t tell_codes(const Skeleton& skeleton, Json& told) {
  int64_t weights = 0;
  std::map<std::string_view, std::array<int64_t, 3>> sums;
  for (const auto& [name, tensor] : skeleton.parameters) {
    auto coded = skeleton.coded.find(name);
    int64_t bytes = static_cast<int64_t>((coded == skeleton.coded.end() ? tensor : coded->second.codes).nbytes());
    weights += bytes;
    if (coded == skeleton.coded.end()) continue;
    auto& [matrices, numbers, size] = sums[name_of(*coded->second.coding)];
    matrices += 1, numbers += tensor.numel(), size += bytes;
  }
  told["codes"] = Json::object();
  for (const auto& [coding, sum] : sums)
    told["codes"][std::string(coding)] = {{"matrices", sum[0]}, {"parameters", sum[1]}, {"bytes", sum[2]}};
  return weights;
}

void tell_memory(int64_t weights, Json& told) {
  AvailableMemory available = available_memory();
  int64_t left = available.bytes - weights;
  bool fits = left >= 0;
  Json context = nullptr;
  if (!told["kv_bytes_per_token"].is_null()) {
    int64_t positions = std::max<int64_t>(left, 0) / told["kv_bytes_per_token"].get<int64_t>();
    context = std::min(positions, told["context_length"].get<int64_t>());
    fits = fits && positions > 0;
  }
  told["memory"] = {{"weights", weights},
                    {"available", available.bytes},
                    {"limit", available.limit},
                    {"fits", fits},
                    {"context_that_fits", context}};
}

}  // namespace

std::string inspect(const InspectRequest& request) {
  auto dtype = load_options({request.model, "cpu", request.dtype}).dtype;
  std::error_code ignored;
  fs::path path = fs::is_regular_file(request.model, ignored) ? fs::path(request.model) : find_model(request.model);
  ConfigReader config = read_config(path);
  const Family& family = family_of(config);
  Json told;
  told["architecture"] = family.architecture;
  Skeleton skeleton = build(path, config, family, dtype);
  const NamedTensor& largest =
      *std::max_element(skeleton.parameters.begin(), skeleton.parameters.end(),
                        [](const auto& a, const auto& b) { return a.tensor.numel() < b.tensor.numel(); });
  told["dtype"] = name_of_dtype(largest.tensor.scalar_type());
  told["source"] = skeleton.from_weights ? "weights" : "configuration";
  told["parameters"] = count_parameters(skeleton.parameters, *skeleton.model, config.file());
  tell_bytes(skeleton.parameters, told["parameters"]["total"].get<int64_t>(), told);
  try {
    c10::InferenceMode inference;
    tell_work(*skeleton.model, path, request, told);
  } catch (const c10::Error& error) {
    throw Error(ErrorKind::unsupported, fmt::format("{}: found sizes whose work cannot be counted ({})", config.file(),
                                                    error.what_without_backtrace()));
  }
  tell_memory(tell_codes(skeleton, told), told);
  told["assumed"] = config.assumed();
  return told.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace nuri
