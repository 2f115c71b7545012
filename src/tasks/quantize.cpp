#include "tasks/quantize.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/report.h"
#include "ops/ops.h"
#include "tasks/growing_folder.h"
#include "tasks/matrix_rounder.h"
#include "tasks/model_folder.h"
#include "weights/packed_folder.h"
#include "weights/packing.h"
#include "weights/recording_store.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using Entry = RecordingStore::Entry;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::string_view kWeightEndings[] = {".safetensors", ".bin", ".pt",         ".pth",    ".gguf",
                                               ".onnx",        ".h5",  ".index.json", ".msgpack"};

// One `--keep`.
struct Kept {
  std::string text, pattern;
  std::optional<kernels::Coding> coding;
  bool used = false;
};

std::vector<Kept> parse_keep(const std::vector<std::string>& texts) {
  std::vector<Kept> list;
  for (const std::string& text : texts) {
    auto equals = text.rfind('=');
    std::string kind = equals == std::string::npos ? "" : text.substr(equals + 1);
    if (equals == 0 || (kind != "bf16" && kind != "int8"))
      throw Error(ErrorKind::usage, fmt::format("--keep: found {}, expected PATTERN=bf16 or PATTERN=int8", text));
    auto coding = kind == "int8" ? std::optional(kernels::Coding::int8_rotated) : std::nullopt;
    list.push_back({text, text.substr(0, equals), coding});
  }
  return list;
}

// How each matrix is written.
class Choice {
 public:
  Choice(kernels::Coding coding, const std::vector<std::string>& keep) : coding_(coding), kept_(parse_keep(keep)) {}

  std::optional<kernels::Coding> operator()(const std::string& name) {
    for (Kept& kept : kept_)
      if (::fnmatch(kept.pattern.c_str(), name.c_str(), 0) == 0) {
        kept.used = true;
        return kept.coding;
      }
    return usual_coding(name, coding_);
  }

  void expect_all_used() const {
    for (const Kept& kept : kept_)
      if (!kept.used)
        throw Error(ErrorKind::usage,
                    fmt::format("--keep: found {}, which fits no matrix of the model, expected a pattern of names as "
                                "model.layers.*.mlp.*",
                                kept.text));
  }

 private:
  kernels::Coding coding_;
  std::vector<Kept> kept_;
};

// What is to be written, and where it lies now.
struct Source {
  fs::path folder;
  ConfigReader config;
  NameRules rules;
};

std::vector<Entry> entries_of(const Source& source, Choice& choice) {
  auto store =
      std::make_shared<CheckpointStore>(source.folder, source.rules, LoadOptions{.dtype = {}, .device = at::kMeta});
  auto recorder = std::make_shared<RecordingStore>(store, [&](const std::string& name) { return choice(name); });
  family_of(source.config).make(source.config, WeightView(recorder));
  store->expect_all_taken();
  choice.expect_all_used();
  if (std::ranges::none_of(recorder->entries(), [](const Entry& entry) { return entry.coding.has_value(); }))
    throw Error(ErrorKind::usage, fmt::format("{}: found no matrix to pack, expected some (those of vision "
                                              "encoders are kept unless --keep says int8)",
                                              source.folder.string()));
  return recorder->entries();
}

// The numbers that are to be written.
class SourceNumbers {
 public:
  explicit SourceNumbers(const Source& source) : store_(source.folder, source.rules, {}) {}

  at::Tensor of(const Entry& entry) const {
    at::Tensor tensor = tensor_of(entry);
    return entry.part ? cut(tensor, *entry.part, entry.shape[0]) : tensor;
  }
  // Gives their memory back.
  void release(const Entry& entry) const {
    at::Tensor tensor = tensor_of(entry);
    store_.release(entry.part ? tensor.select(0, entry.part->index) : tensor);
  }

 private:
  // The tensor that holds a weight.
  at::Tensor tensor_of(const Entry& entry) const {
    return entry.part ? store_.stored(entry.part->tensor, entry.part->shape) : store_.stored(entry.name, entry.shape);
  }

  CheckpointStore store_;
};

// What does not fit the codes that are meant for it, as may be in bfloat12, is left in numbers. -> how many matrices
int64_t leave_what_does_not_fit(std::vector<Entry>& entries, const SourceNumbers& numbers, const Source& source) {
  int64_t asked = 0, exact = 0, left = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    Entry& entry = entries[i];
    if (entry.coding != kernels::Coding::bfloat12) continue;
    check_interrupt();
    report_progress("checking", static_cast<int64_t>(i), static_cast<int64_t>(entries.size()), entry.name);
    asked += 1, exact += entry.dtype == at::kBFloat16;
    const bool fits = fits_in_codes(numbers.of(entry), *entry.coding);
    numbers.release(entry);
    if (fits) continue;
    entry.coding = {};
    entry.bytes = entry.shape[0] * entry.shape[1] * static_cast<int64_t>(c10::elementSize(entry.dtype));
    left += 1;
  }
  if (left > 0 && std::ranges::none_of(entries, [](const Entry& entry) { return entry.coding.has_value(); }))
    throw Error(ErrorKind::usage,
                fmt::format("{}: found no matrix that fits 12 bits (of {}, {} in bfloat16), expected some in bfloat16 "
                            "with few numbers below 2^-15 of their neighbours'",
                            source.folder.string(), asked, exact));
  return left;
}

// Of one file of weights: indices of entries, codes first, so that these begin at multiples of 64 bytes; then numbers
// by falling size of one.
using Shard = std::vector<size_t>;

std::vector<Shard> shards_of(const std::vector<Entry>& entries, int64_t bytes) {
  std::vector<Shard> shards(1);
  int64_t filled = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!shards.back().empty() && filled + entries[i].bytes > bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(i);
    filled += entries[i].bytes;
  }
  auto rank = [&](size_t i) {
    return entries[i].coding ? 0 : -static_cast<int64_t>(c10::elementSize(entries[i].dtype));
  };
  for (Shard& shard : shards)
    std::stable_sort(shard.begin(), shard.end(), [&](size_t a, size_t b) {
      bool numbers_a = !entries[a].coding, numbers_b = !entries[b].coding;
      return numbers_a != numbers_b ? numbers_b : rank(a) < rank(b);
    });
  return shards;
}

std::string shard_name(size_t shard, size_t count) {
  return count == 1 ? "model.safetensors" : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, count);
}

// FNV-1a.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001B3u;
  return hash;
}

// What a folder that was begun has to agree with. A source that was written anew has another time.
std::string plan_text(const Source& source, const QuantizeRequest& request) {
  Json files = Json::array();
  std::set<fs::path> sorted;
  for (const auto& entry : fs::directory_iterator(source.folder)) sorted.insert(entry.path());
  for (const auto& file : sorted) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    files.push_back({file.filename().string(), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec});
  }
  Json plan = {{"layout", 1},          {"weights", request.weights},         {"method", request.method},
               {"keep", request.keep}, {"shard_bytes", request.shard_bytes}, {"files", files}};
  if (!request.calibrate.empty()) plan["texts"] = hash_of(read_file(request.calibrate));
  return plan.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Writes files of weights, one after the other.
class Writer {
 public:
  Writer(const Source& source, const SourceNumbers& numbers, const std::vector<Entry>& entries,
         const QuantizeRequest& request)
      : numbers_(numbers),
        entries_(entries),
        round_(entries, request.method, calibration_for(source, entries, request),
               [&numbers](const Entry& entry) { return numbers.of(entry); }) {}

  void write(const fs::path& file, const Shard& shard) {
    std::vector<at::Tensor> made;
    std::vector<TensorData> list;
    for (size_t i : shard) {
      check_interrupt();
      const Entry& entry = entries_[i];
      report_progress("quantising", done_++, static_cast<int64_t>(entries_.size()), entry.name);
      made.push_back(round_(i).contiguous());
      list.push_back(
          {entry.name, file_dtype(made.back().scalar_type()), made.back().sizes().vec(), made.back().const_data_ptr()});
      if (entry.coding) numbers_.release(entry);
    }
    write_safetensors(file, list, {{"format", "pt"}});
    for (size_t i : shard)
      if (!entries_[i].coding) numbers_.release(entries_[i]);
  }
  void skip(const Shard& shard) { done_ += static_cast<int64_t>(shard.size()); }

 private:
  static std::unique_ptr<Calibration> calibration_for(const Source& source, const std::vector<Entry>& entries,
                                                      const QuantizeRequest& request) {
    if (request.calibrate.empty()) return nullptr;
    return std::make_unique<Calibration>(source.folder, request.calibrate, entries);
  }

  const SourceNumbers& numbers_;
  const std::vector<Entry>& entries_;
  MatrixRounder round_;
  int64_t done_ = 0;
};

void copy_side_files(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) {
    std::string name = entry.path().filename();
    std::error_code ignored;
    bool weights = std::ranges::any_of(kWeightEndings, [&](auto ending) { return name.ends_with(ending); });
    if (weights || name == "config.json" || name.starts_with("README") || !entry.is_regular_file(ignored)) continue;
    write_file_atomically(to / name, read_file(entry.path()));
  }
}

void write_descriptions(const Source& source, const std::vector<Entry>& entries, const std::vector<Shard>& shards,
                        const fs::path& to) {
  copy_side_files(source.folder, to);
  std::vector<PackedMatrix> matrices;
  int64_t bytes = 0;
  for (const Entry& entry : entries) {
    bytes += entry.bytes;
    if (entry.coding) matrices.push_back({entry.name, *entry.coding, entry.dtype, entry.shape[0], entry.shape[1]});
  }
  Json config = source.config.json();
  config["quantization_config"] = packed_config(matrices);
  write_file_atomically(to / "config.json", config.dump(1) + "\n");
  if (shards.size() == 1) return;
  Json weight_map = Json::object();
  for (size_t shard = 0; shard < shards.size(); ++shard)
    for (size_t i : shards[shard]) weight_map[entries[i].name] = shard_name(shard, shards.size());
  Json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", std::move(weight_map)}};
  write_file_atomically(to / kIndex, index.dump(1) + "\n");
}

void expect_disk(const fs::path& folder, const std::vector<Entry>& entries, const std::vector<Shard>& shards) {
  int64_t needed = 0;
  for (size_t shard = 0; shard < shards.size(); ++shard)
    if (!is_there(folder / shard_name(shard, shards.size())))
      for (size_t i : shards[shard]) needed += entries[i].bytes;
  std::error_code error;
  fs::space_info space = fs::space(folder, error);
  if (!error && static_cast<int64_t>(space.available) < needed)
    throw Error(ErrorKind::resource, fmt::format("{}: needs {} on disk, found {} free", folder.string(),
                                                 readable_bytes(needed), readable_bytes(space.available)));
}

QuantizeReport report_of(const Source& source, const std::vector<Entry>& entries, const std::vector<Shard>& shards) {
  QuantizeReport report;
  report.source_bytes = static_cast<int64_t>(Checkpoint::open(source.folder).total_bytes());
  report.shards = static_cast<int64_t>(shards.size());
  for (const Entry& entry : entries) {
    int64_t numbers = std::accumulate(entry.shape.begin(), entry.shape.end(), int64_t{1}, std::multiplies<int64_t>());
    report.bytes += entry.bytes;
    report.all_parameters += numbers;
    if (entry.coding) report.matrices += 1, report.parameters += numbers;
  }
  return report;
}

// With the method that is meant.
QuantizeRequest checked(QuantizeRequest request) {
  const bool rounds = request.weights != "bf12";
  if (rounds && request.weights != "int8" && request.weights != "int4")
    throw Error(ErrorKind::usage, fmt::format("--weights: found {}, expected int8, int4 or bf12", request.weights));
  if (request.method.empty()) request.method = request.calibrate.empty() ? "rtn" : "gptq";
  const bool calibrates = request.method == "gptq" || request.method == "awq";
  if (!calibrates && request.method != "rtn")
    throw Error(ErrorKind::usage, fmt::format("--method: found {}, expected rtn, gptq or awq", request.method));
  if (calibrates != !request.calibrate.empty())
    throw Error(ErrorKind::usage,
                calibrates ? fmt::format("--method: found {} without --calibrate FILE, which it needs", request.method)
                           : "--calibrate: found --method rtn, which needs no texts, expected gptq "
                             "or awq");
  if (calibrates && request.weights != "int4")
    throw Error(ErrorKind::usage, fmt::format("--calibrate: found --weights {}, expected int4: {}", request.weights,
                                              rounds ? "matrices of 8 bits are rounded to the nearest"
                                                     : "12 bits hold bfloat16 as it is"));
  return request;
}

}  // namespace

QuantizeReport quantize(const QuantizeRequest& request) {
  const QuantizeRequest asked = checked(request);
  ModelOptions options;
  options.model = request.model, options.weights = request.weights, options.threads = request.threads;
  Choice choice(*load_options(options).coding, request.keep);
  ops::use_torch_threads(request.threads);
  at::NoGradGuard no_grad;
  fs::path folder = find_model(request.model);
  ConfigReader config = read_config(folder);
  if (config.has("quantization_config"))
    throw Error(ErrorKind::usage, fmt::format("{}: found quantization_config, expected a model whose weights are "
                                              "numbers",
                                              config.file()));
  Source source{folder, config, family_of(config).names(config)};
  std::vector<Entry> entries = entries_of(source, choice);
  GrowingFolder output(request.output, plan_text(source, asked));
  const SourceNumbers numbers(source);
  const int64_t unfit = leave_what_does_not_fit(entries, numbers, source);
  std::vector<Shard> shards = shards_of(entries, request.shard_bytes);
  QuantizeReport report = report_of(source, entries, shards);
  report.unfit = unfit;
  expect_disk(output.path(), entries, shards);
  Writer writer(source, numbers, entries, asked);
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    fs::path file = output.path() / shard_name(shard, shards.size());
    if (is_there(file)) {
      writer.skip(shards[shard]);
      ++report.shards_there_before;
    } else {
      writer.write(file, shards[shard]);
    }
  }
  write_descriptions(source, entries, shards, output.path());
  output.finish();
  return report;
}

}  // namespace nuri
