#include "weights/stores.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "weights/gguf_store.h"

namespace nuri {
namespace {

// How `pattern`, in which each '*' stands for a number, fits the beginning of a name.
struct Fit {
  std::vector<std::string_view> numbers;
  std::string_view rest;  // behind what fits
};

std::optional<Fit> fit(std::string_view name, std::string_view pattern) {
  Fit found;
  for (char c : pattern) {
    size_t length = c == '*' ? std::min(name.find_first_not_of("0123456789"), name.size()) : name.starts_with(c);
    if (length == 0) return std::nullopt;
    if (c == '*') found.numbers.push_back(name.substr(0, length));
    name.remove_prefix(length);
  }
  found.rest = name;
  return found;
}

std::string renamed(std::string_view pattern, const Fit& found) {
  std::string name;
  auto number = found.numbers.begin();
  for (char c : pattern) {
    if (c == '*' && number != found.numbers.end())
      name += *number++;
    else
      name += c;
  }
  return name.append(found.rest);
}

std::string canonical_name(const std::string& name, const std::vector<Rename>& renames) {
  for (const auto& rename : renames)
    if (auto found = fit(name, rename.from)) return renamed(rename.to, *found);
  return name;
}

bool is_ignored(const std::string& name, const std::vector<std::string_view>& ignored) {
  for (const auto& pattern : ignored) {
    bool suffix = pattern.starts_with('*');
    if (suffix ? name.ends_with(pattern.substr(1)) : name == pattern) return true;
  }
  return false;
}

// FNV-1a, so that a name's stream is the same on every machine.
uint64_t hash_of(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001B3u;
  return hash;
}

at::Tensor initialised(const std::string& name, at::IntArrayRef shape, const Init& init, uint64_t seed) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  if (init.kind == Init::Kind::constant) return tensor.fill_(init.value);
  CounterRandom random(seed, hash_of(name));
  float* data = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) data[i] = static_cast<float>(init.value * random.normal());
  return tensor;
}

// Files with an unpadded header put tensors at odd addresses; those are copied once.
bool is_aligned(std::span<const std::byte> bytes, DType dtype) {
  return reinterpret_cast<uintptr_t>(bytes.data()) % size_of(dtype) == 0;
}

}  // namespace

at::ScalarType torch_dtype(DType dtype) {
  switch (dtype) {
    case DType::F64:
      return at::kDouble;
    case DType::F32:
      return at::kFloat;
    case DType::F16:
      return at::kHalf;
    case DType::BF16:
      return at::kBFloat16;
    case DType::I64:
      return at::kLong;
    case DType::I32:
      return at::kInt;
    case DType::I16:
      return at::kShort;
    case DType::I8:
      return at::kChar;
    case DType::U8:
      return at::kByte;
    case DType::BOOL:
      return at::kBool;
    default:
      throw Error(ErrorKind::unsupported,
                  fmt::format("found a tensor of type {}, which has no use here", name_of(dtype)));
  }
}

DType file_dtype(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return DType::F64;
    case at::kFloat:
      return DType::F32;
    case at::kHalf:
      return DType::F16;
    case at::kBFloat16:
      return DType::BF16;
    case at::kLong:
      return DType::I64;
    case at::kInt:
      return DType::I32;
    case at::kShort:
      return DType::I16;
    case at::kChar:
      return DType::I8;
    case at::kByte:
      return DType::U8;
    case at::kBool:
      return DType::BOOL;
    default:
      throw Error(ErrorKind::internal, "a tensor of this type cannot be written");
  }
}

CheckpointStore::CheckpointStore(const std::filesystem::path& folder, const NameRules& rules, LoadOptions options)
    : folder_(folder),
      checkpoint_(std::make_shared<Checkpoint>(Checkpoint::open(folder))),
      coded_(open_coded_matrices(checkpoint_)),
      options_(options) {
  for (const auto& info : checkpoint_->tensors()) {
    if (auto matrix = coded_ ? coded_->matrix_of(info.name) : std::nullopt) {
      add_matrix(*matrix, rules);
      continue;
    }
    auto split = std::find_if(rules.splits.begin(), rules.splits.end(),
                              [&](const FusedTensor& s) { return fit(info.name, s.from).has_value(); });
    if (split != rules.splits.end())
      add_parts(info, *split, rules);
    else
      add(canonical_name(info.name, rules.renames), {info, info.shape}, rules);
  }
}

void CheckpointStore::add(const std::string& name, Source source, const NameRules& rules) {
  if (is_ignored(name, rules.ignored)) return;
  auto [previous, fresh] = tensors_.emplace(name, source);
  if (!fresh)
    throw Error(ErrorKind::format, fmt::format("{}: found both {} and {}, which name the same weight", folder_.string(),
                                               previous->second.info.name, source.info.name));
}

void CheckpointStore::add_matrix(const std::string& published, const NameRules& rules) {
  for (const FusedTensor& split : rules.splits)
    if (fit(published, split.from))
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: found the matrix {}, which holds several, in codes, expected "
                              "numbers",
                              folder_.string(), published));
  std::string name = canonical_name(published, rules.renames);
  if (is_ignored(name, rules.ignored)) return;
  auto [known, fresh] = matrices_.emplace(std::move(name), published);
  if (known->second != published)
    throw Error(ErrorKind::format, fmt::format("{}: found both {} and {}, which name the same matrix", folder_.string(),
                                               known->second, published));
}

void CheckpointStore::add_parts(const TensorInfo& info, const FusedTensor& split, const NameRules& rules) {
  std::vector<int64_t> shares = split.shares;
  if (shares.empty()) shares.assign(split.to.size(), 1);
  int64_t total = std::accumulate(shares.begin(), shares.end(), int64_t{0});
  if (info.shape.empty() || info.shape[0] % (split.groups * total) != 0)
    throw Error(ErrorKind::format,
                fmt::format("{}: tensor {}: found shape [{}], expected a multiple of {} rows", folder_.string(),
                            info.name, fmt::join(info.shape, ", "), split.groups * total));
  Fit found = *fit(info.name, split.from);
  int64_t begin = 0;
  for (size_t i = 0; i < split.to.size(); begin += shares[i++]) {
    Source source{info, info.shape, split.groups, begin, shares[i], total};
    source.shape[0] = info.shape[0] / total * shares[i];
    add(renamed(split.to[i], found), std::move(source), rules);
  }
}

bool CheckpointStore::has(const std::string& name) const { return tensors_.contains(name) || matrices_.contains(name); }

bool CheckpointStore::differs(const std::string& name, const std::string& tied) {
  auto own = tensors_.find(name), other = tensors_.find(tied);
  if (own == tensors_.end() || other == tensors_.end()) return false;
  const TensorInfo &a = own->second.info, &b = other->second.info;
  if (a.dtype == b.dtype && a.shape == b.shape && std::ranges::equal(checkpoint_->data(a), checkpoint_->data(b))) {
    taken_.insert(name);
    return false;
  }
  return true;
}

at::Tensor CheckpointStore::take(const std::string& name, at::IntArrayRef shape, const Init&) {
  auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Error(ErrorKind::format, fmt::format("{}: tensor {} not found, expected shape [{}]", folder_.string(), name,
                                               fmt::join(shape, ", ")));
  const Source& source = found->second;
  const TensorInfo& info = source.info;
  if (at::IntArrayRef(source.shape) != shape)
    throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found shape [{}], expected [{}]", folder_.string(),
                                               info.name, fmt::join(source.shape, ", "), fmt::join(shape, ", ")));
  at::ScalarType dtype = torch_dtype(info.dtype);
  if (!at::isFloatingType(dtype))
    throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found type {}, expected F32, F16 or BF16",
                                               folder_.string(), info.name, name_of(info.dtype)));
  taken_.insert(name);
  if (options_.device.is_meta())
    return at::empty(shape, at::TensorOptions().dtype(options_.dtype.value_or(dtype)).device(at::kMeta));

  auto bytes = checkpoint_->data(info);
  at::Tensor tensor;
  if (is_aligned(bytes, info.dtype)) {
    tensor = at::from_blob(
        bytes.data(), info.shape, [keep = checkpoint_](void*) {}, at::TensorOptions().dtype(dtype));
  } else {
    tensor = at::empty(info.shape, at::TensorOptions().dtype(dtype));
    std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  }
  if (source.total > 1)
    tensor = tensor.view({source.groups, source.total, -1}).narrow(1, source.begin, source.share).reshape(shape);
  return tensor.to(options_.device, options_.dtype.value_or(dtype));
}

std::optional<WeightStore::Codes> CheckpointStore::codes(const std::string& name, int64_t n, int64_t k) {
  auto matrix = matrices_.find(name);
  if (matrix == matrices_.end()) return {};
  taken_.insert(name);
  Codes codes = coded_->read(matrix->second, n, k);
  codes.dtype = options_.dtype.value_or(codes.dtype);
  return codes;
}

std::optional<kernels::Coding> asked_coding(const LoadOptions& options, const std::string& name) {
  const auto holds = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  if (!options.coding || holds("vision") || holds("visual")) return {};
  const bool words = holds("lm_head") || holds("embed");  // an embedding may stand in front of the words too
  return words && kernels::is_four_bits(*options.coding) ? kernels::Coding::int8_groups : options.coding;
}

std::optional<kernels::Coding> CheckpointStore::coding(const std::string& name) const {
  return asked_coding(options_, name);
}

std::shared_ptr<FileStore> open_store(const std::filesystem::path& path, const NameRules& rules, LoadOptions options) {
  if (is_gguf_file(path)) return std::make_shared<GgufStore>(path, options);
  return std::make_shared<CheckpointStore>(path, rules, options);
}

void CheckpointStore::expect_all_taken() const {
  for (const auto& [name, published] : matrices_)
    if (!taken_.contains(name))
      throw Error(ErrorKind::format,
                  fmt::format("{}: found the matrix {}, which this model does not have", folder_.string(), published));
  for (const auto& [name, source] : tensors_)
    if (!taken_.contains(name))
      throw Error(ErrorKind::format,
                  fmt::format("{}: found the tensor {} of shape [{}], which this model does not have", folder_.string(),
                              source.info.name, fmt::join(source.info.shape, ", ")));
}

void CheckpointStore::expect_room() const {
  if (!options_.device.is_cpu()) return;
  int64_t count = 0, bytes = 0, packed = 0;
  for (const auto& [name, source] : tensors_) {
    const TensorInfo& info = source.info;
    if (auto codes = coding(name); codes && info.shape.size() == 2)
      packed += source.elements() * (kernels::is_four_bits(*codes) ? 5 : 9) / 8;
    bool floating =
        info.dtype == DType::F32 || info.dtype == DType::F16 || info.dtype == DType::BF16 || info.dtype == DType::F64;
    if (!floating) continue;  // refused when it is taken
    at::ScalarType stored = torch_dtype(info.dtype), loaded = options_.dtype.value_or(stored);
    if (loaded == stored && is_aligned(checkpoint_->data(info), info.dtype)) continue;
    count += source.elements();
    bytes += source.elements() * static_cast<int64_t>(c10::elementSize(loaded));
  }
  if (packed > 0)
    expect_memory(bytes + packed, folder_.string() + ": the weights",
                  fmt::format("{} bytes of codes for their matrices", packed));
  if (bytes == 0) return;
  std::string arithmetic = options_.dtype ? fmt::format("{} of them converted, {} bytes each", count, bytes / count)
                                          : fmt::format("{} of them at odd addresses are copied", count);
  expect_memory(bytes, folder_.string() + ": the weights", arithmetic);
}

at::Tensor ShapeStore::take(const std::string& name, at::IntArrayRef shape, const Init&) {
  int64_t bytes = static_cast<int64_t>(c10::elementSize(dtype_));
  bool fits = true;
  for (int64_t size : shape) fits = fits && !__builtin_mul_overflow(bytes, size, &bytes);
  if (!fits || bytes >= int64_t{1} << 62)
    throw Error(ErrorKind::unsupported,
                fmt::format("the weight {}: found the shape [{}], expected less than 2^62 bytes", name,
                            fmt::join(shape, ", ")));
  return at::empty(shape, at::TensorOptions().dtype(dtype_).device(at::kMeta));
}

void TrainingStore::add(std::shared_ptr<WeightStore> store, std::string take, std::string as) {
  sources_.push_back({std::move(store), std::move(take), std::move(as), false});
}

bool TrainingStore::has(const std::string& name) const {
  bool covered = false;
  for (const auto& [store, take, as, used] : sources_) {
    if (!name.starts_with(as)) continue;
    if (store->has(take + name.substr(as.size()))) return true;
    covered = true;
  }
  return !covered;
}

bool TrainingStore::stored(const std::string& name) const {
  return std::ranges::any_of(sources_, [&](const Source& source) {
    return name.starts_with(source.as) && source.store->stored(source.take + name.substr(source.as.size()));
  });
}

bool TrainingStore::differs(const std::string& name, const std::string& tied) {
  for (auto source = sources_.rbegin(); source != sources_.rend(); ++source) {
    if (!name.starts_with(source->as) || !tied.starts_with(source->as)) continue;
    auto there = [&](const std::string& own) { return source->take + own.substr(source->as.size()); };
    if (source->store->has(there(tied))) return source->store->differs(there(name), there(tied));
  }
  return false;
}

at::Tensor TrainingStore::take(const std::string& name, at::IntArrayRef shape, const Init& init) {
  for (auto source = sources_.rbegin(); source != sources_.rend(); ++source) {
    if (!name.starts_with(source->as)) continue;
    std::string there = source->take + name.substr(source->as.size());
    // A copy: training writes weights in place, and the file's pages are not the place.
    if (!source->store->has(there)) continue;
    source->used = true;
    return source->store->take(there, shape, init).to(at::kFloat).clone();
  }
  return initialised(name, shape, init, seed_);
}

void TrainingStore::expect_all_used() const {
  for (const auto& source : sources_)
    if (!source.used)
      throw Error(ErrorKind::usage, fmt::format("start: found no weight that begins with \"{}\" to take as \"{}\", "
                                                "expected at least one",
                                                source.take, source.as));
}

}  // namespace nuri
