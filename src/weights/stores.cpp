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
#include "weights/packing.h"

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

// The name of each weight of a fused tensor, and its rows.
template <class Rows>
std::vector<std::pair<std::string_view, Rows>> parts_of(const FusedTensor& split) {
  std::vector<int64_t> shares = split.shares;
  if (shares.empty()) shares.assign(split.to.size(), 1);
  const int64_t total = std::accumulate(shares.begin(), shares.end(), int64_t{0});
  std::vector<std::pair<std::string_view, Rows>> parts;
  int64_t begin = 0;
  for (size_t i = 0; i < split.to.size(); begin += shares[i++])
    parts.emplace_back(split.to[i], Rows{split.groups, begin, shares[i], total});
  return parts;
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

CheckpointStore::CheckpointStore(const std::filesystem::path& folder, const NameRules& published, LoadOptions options)
    : folder_(folder),
      checkpoint_(std::make_shared<Checkpoint>(Checkpoint::open(folder))),
      coded_(open_coded_matrices(checkpoint_)),
      options_(options) {
  if (options_.coding && coded_)
    throw Error(ErrorKind::usage, fmt::format("{}: found matrices in codes already (quantization_config), expected "
                                              "--weights native",
                                              folder_.string()));
  const NameRules none;
  const NameRules& rules = coded_ && coded_->has_canonical_names() ? none : published;
  if (coded_ && !options_.dtype) options_.dtype = coded_->dtype();
  std::set<std::string> matrices;
  for (const auto& info : checkpoint_->tensors()) {
    if (auto matrix = coded_ ? coded_->matrix_of(info.name) : std::nullopt) {
      if (matrices.insert(*matrix).second) add_coded(*matrix, rules);
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
  const bool coded = matrices_.contains(name);
  auto [previous, fresh] = tensors_.emplace(name, source);
  if (coded || !fresh)
    throw Error(ErrorKind::format,
                fmt::format("{}: found both {} and {}, which name the same weight", folder_.string(),
                            coded ? matrices_.at(name).published : previous->second.info.name, source.info.name));
}

void CheckpointStore::add_matrix(const std::string& name, CodedSource source, const NameRules& rules) {
  if (is_ignored(name, rules.ignored)) return;
  auto plain = tensors_.find(name);
  auto [previous, fresh] = matrices_.emplace(name, source);
  if (plain != tensors_.end() || !fresh)
    throw Error(ErrorKind::format,
                fmt::format("{}: found both {} and {} in codes, which name the same weight", folder_.string(),
                            fresh ? plain->second.info.name : previous->second.published, source.published));
}

// A matrix that holds several is read as numbers, of which each takes its rows.
void CheckpointStore::add_coded(const std::string& published, const NameRules& rules) {
  auto split =
      std::ranges::find_if(rules.splits, [&](const FusedTensor& s) { return fit(published, s.from).has_value(); });
  if (split == rules.splits.end()) return add_matrix(canonical_name(published, rules.renames), {published}, rules);
  Fit found = *fit(published, split->from);
  for (const auto& [to, rows] : parts_of<Rows>(*split)) add_matrix(renamed(to, found), {published, rows}, rules);
}

void CheckpointStore::add_parts(const TensorInfo& info, const FusedTensor& split, const NameRules& rules) {
  const auto parts = parts_of<Rows>(split);
  const int64_t total = split.groups * parts.front().second.total;
  if (info.shape.empty() || info.shape[0] % total != 0)
    throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found shape [{}], expected a multiple of {} rows",
                                               folder_.string(), info.name, fmt::join(info.shape, ", "), total));
  Fit found = *fit(info.name, split.from);
  for (const auto& [to, rows] : parts) {
    Source source{info, info.shape, rows};
    source.shape[0] = info.shape[0] / rows.total * rows.share;
    add(renamed(to, found), std::move(source), rules);
  }
}

bool CheckpointStore::has(const std::string& name) const { return tensors_.contains(name) || matrices_.contains(name); }

bool CheckpointStore::differs(const std::string& name, const std::string& tied) {
  if (!has(name) || !has(tied)) return false;
  auto own = tensors_.find(name), other = tensors_.find(tied);
  if (own == tensors_.end() || other == tensors_.end()) return true;  // numbers and their codes are not the same
  const TensorInfo &a = own->second.info, &b = other->second.info;
  if (a.dtype == b.dtype && a.shape == b.shape && std::ranges::equal(checkpoint_->data(a), checkpoint_->data(b))) {
    taken_.insert(name);
    return false;
  }
  return true;
}

at::Tensor CheckpointStore::Rows::of(const at::Tensor& whole, at::IntArrayRef shape) const {
  if (total == 1) return whole.reshape(shape);
  return whole.view({groups, total, -1}).narrow(1, begin, share).reshape(shape);
}

// A view of the file where its address allows one.
at::Tensor CheckpointStore::mapped(const TensorInfo& info) const {
  auto options = at::TensorOptions().dtype(torch_dtype(info.dtype));
  auto bytes = checkpoint_->data(info);
  if (is_aligned(bytes, info.dtype))
    return at::from_blob(
        bytes.data(), info.shape, [keep = checkpoint_](void*) {}, options);
  at::Tensor tensor = at::empty(info.shape, options);
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

const CheckpointStore::Source& CheckpointStore::source_of(const std::string& name, at::IntArrayRef shape) const {
  auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw Error(ErrorKind::format, fmt::format("{}: tensor {} not found, expected shape [{}]", folder_.string(), name,
                                               fmt::join(shape, ", ")));
  const Source& source = found->second;
  if (at::IntArrayRef(source.shape) != shape)
    throw Error(ErrorKind::format,
                fmt::format("{}: tensor {}: found shape [{}], expected [{}]", folder_.string(), source.info.name,
                            fmt::join(source.shape, ", "), fmt::join(shape, ", ")));
  if (!at::isFloatingType(torch_dtype(source.info.dtype)))
    throw Error(ErrorKind::format, fmt::format("{}: tensor {}: found type {}, expected F32, F16 or BF16",
                                               folder_.string(), source.info.name, name_of(source.info.dtype)));
  return source;
}

at::Tensor CheckpointStore::stored(const std::string& name, at::IntArrayRef shape) const {
  const Source& source = source_of(name, shape);
  return source.rows.of(mapped(source.info), shape);
}

void CheckpointStore::release(const at::Tensor& view) const {
  if (!view.is_contiguous() || view.numel() == 0) return;
  const std::span<const std::byte> bytes{static_cast<const std::byte*>(view.const_data_ptr()), view.nbytes()};
  if (checkpoint_->holds(bytes)) forget_pages(bytes);
}

at::Tensor CheckpointStore::take(const std::string& name, at::IntArrayRef shape, const Init&) {
  if (auto matrix = matrices_.find(name); matrix != matrices_.end()) {
    taken_.insert(name);
    return take_numbers(matrix->second, shape);
  }
  at::ScalarType dtype = torch_dtype(source_of(name, shape).info.dtype);
  taken_.insert(name);
  if (options_.device.is_meta())
    return at::empty(shape, at::TensorOptions().dtype(options_.dtype.value_or(dtype)).device(at::kMeta));
  return stored(name, shape).to(options_.device, options_.dtype.value_or(dtype));
}

// Codes of a matrix whose numbers a model wants: a convolution's, say.
at::Tensor CheckpointStore::take_numbers(const CodedSource& source, at::IntArrayRef shape) const {
  const auto& [published, rows] = source;
  if (shape.size() < 2 || shape[0] % (rows.groups * rows.share) != 0)
    throw Error(ErrorKind::format, fmt::format("{}: found the matrix {} in codes, expected numbers [{}]",
                                               folder_.string(), published, fmt::join(shape, ", ")));
  const int64_t n = shape[0] / rows.share * rows.total, k = c10::multiply_integers(shape.slice(1));
  coded_->check(published, n, k);
  if (options_.device.is_meta())
    return at::empty(shape, at::TensorOptions().dtype(options_.dtype.value_or(at::kHalf)).device(at::kMeta));
  return rows.of(coded_->numbers(published, n, k, options_.dtype), shape).to(options_.device);
}

std::optional<WeightStore::Codes> CheckpointStore::codes(const std::string& name, int64_t n, int64_t k) {
  std::optional<Codes> codes;
  if (auto matrix = matrices_.find(name); matrix != matrices_.end()) {
    // Several matrices in one are read as numbers, and for shapes alone nothing is packed.
    const bool packs = !coded_->has_canonical_names();
    if (matrix->second.rows.total > 1 || (packs && options_.device.is_meta())) return {};
    codes = coded_->read(matrix->second.published, n, k);
    if (codes && options_.device.is_meta()) codes->bytes = at::empty_like(codes->bytes, at::kMeta);
  } else if (auto wanted = coding(name); wanted && tensors_.contains(name)) {
    at::Tensor numbers = stored(name, {n, k});
    codes = pack_in_codes(numbers, *wanted);
    if (codes) release(numbers);
  }
  if (!codes) return {};
  taken_.insert(name);
  codes->dtype = options_.dtype.value_or(codes->dtype);
  codes->weight_only = options_.weight_only_device();
  return codes;
}

std::optional<WeightStore::Codes> CheckpointStore::codes_of_part(const std::string&, const MatrixPart& part, int64_t n,
                                                                 int64_t) {
  auto wanted = coding(part.tensor);
  if (!wanted || !tensors_.contains(part.tensor)) return {};
  at::Tensor tensor = stored(part.tensor, part.shape);
  auto codes = pack_in_codes(cut(tensor, part, n), *wanted);
  if (!codes) return {};
  taken_.insert(part.tensor);
  release(tensor.select(0, part.index));
  codes->dtype = options_.dtype.value_or(codes->dtype);
  codes->weight_only = options_.weight_only_device();
  return codes;
}

std::optional<kernels::Coding> asked_coding(const LoadOptions& options, const std::string& name) {
  auto coding = options.coding ? usual_coding(name, *options.coding) : std::nullopt;
  // libtorch's operators take rows as they are.
  const bool as_they_are = coding == kernels::Coding::int8_rotated && options.weight_only_device();
  return as_they_are ? kernels::Coding::int8_rows : coding;
}

std::optional<kernels::Coding> CheckpointStore::coding(const std::string& name) const {
  return asked_coding(options_, name);
}

std::shared_ptr<FileStore> open_store(const std::filesystem::path& path, const NameRules& rules, LoadOptions options) {
  if (is_gguf_file(path)) return std::make_shared<GgufStore>(path, options);
  return std::make_shared<CheckpointStore>(path, rules, options);
}

void CheckpointStore::expect_all_taken() const {
  for (const auto& [name, source] : matrices_)
    if (!taken_.contains(name))
      throw Error(ErrorKind::format, fmt::format("{}: found the matrix {}, which this model does not have",
                                                 folder_.string(), source.published));
  for (const auto& [name, source] : tensors_)
    if (!taken_.contains(name) && !(coded_ && coded_->is_idle(source.info)))
      throw Error(ErrorKind::format,
                  fmt::format("{}: found the tensor {} of shape [{}], which this model does not have", folder_.string(),
                              source.info.name, fmt::join(source.info.shape, ", ")));
}

// Bytes of a number in codes, with its share of the scales.
static int64_t sixteenths_of(kernels::Coding coding) {
  if (coding == kernels::Coding::bfloat12) return 25;
  if (!kernels::is_four_bits(coding)) return 18;
  return coding == kernels::Coding::int4_steps ? 9 : 10;
}

void CheckpointStore::expect_room() const {
  if (!options_.device.is_cpu()) return;
  int64_t count = 0, bytes = 0, packed = 0;
  for (const auto& [name, source] : matrices_) packed += coded_->copied_bytes(source.published, options_.dtype);
  for (const auto& [name, source] : tensors_) {
    const TensorInfo& info = source.info;
    bool floating =
        info.dtype == DType::F32 || info.dtype == DType::F16 || info.dtype == DType::BF16 || info.dtype == DType::F64;
    if (!floating) continue;  // refused when it is taken
    if (auto codes = coding(name); codes && (info.shape.size() == 2 || info.shape.size() == 3)) {
      packed += source.elements() * sixteenths_of(*codes) / 16;
      continue;
    }
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

std::function<bool()> CheckpointStore::large_pages() const {
  if (coded_ && !coded_->has_canonical_names()) return {};  // whose codes are copies
  const auto is_view = [&](const TensorInfo& info) {
    return !options_.dtype || file_dtype(*options_.dtype) == info.dtype;
  };
  int64_t views = 0, all = 0;
  for (const auto& [name, source] : tensors_) {
    all += static_cast<int64_t>(source.info.size);
    if (is_view(source.info)) views += static_cast<int64_t>(source.info.size);
  }
  if (!options_.device.is_cpu() || options_.coding || (!coded_ && 2 * views <= all)) return {};
  return [checkpoint = checkpoint_] { return checkpoint->move_to_large_pages(); };
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
