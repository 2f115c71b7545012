#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/config_reader.h"
#include "base/error.h"
#include "formats/safetensors.h"
#include "formats/safetensors_names.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// A shard must be a plain file name: anything else could reach out of the model's folder.
void check_shard_name(const fs::path& index, const std::string& shard) {
  bool plain = !shard.empty() && shard != "." && shard != ".." && shard.find('/') == std::string::npos &&
               shard.find('\\') == std::string::npos && shard.find('\0') == std::string::npos;
  if (!plain)
    throw Error(ErrorKind::format, fmt::format("{}: weight_map: found the shard \"{}\", expected a file name without a "
                                               "folder",
                                               index.string(), shown_text(shard)));
}

// Tensor name to shard.
std::map<std::string, std::string, std::less<>> read_weight_map(const fs::path& index) {
  Json document = read_json_file(index);
  auto found = document.is_object() ? document.find("weight_map") : document.end();
  if (found == document.end() || !found->is_object() || found->empty())
    throw Error(
        ErrorKind::format,
        fmt::format("{}: weight_map: not found, expected an object of tensor names and shards", index.string()));
  std::map<std::string, std::string, std::less<>> shard_of;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string())
      throw Error(ErrorKind::format, fmt::format("{}: weight_map: {}: found {}, expected a file name", index.string(),
                                                 shown_text(tensor), shard.type_name()));
    check_shard_name(index, shard.get_ref<const std::string&>());
    shard_of.emplace(tensor, shard.get<std::string>());
  }
  return shard_of;
}

}  // namespace

Checkpoint Checkpoint::open(const fs::path& folder_or_file) {
  std::error_code ignored;
  if (!is_there(folder_or_file))
    throw Error(ErrorKind::usage,
                fmt::format("{}: not found, expected a model folder or a .safetensors file", folder_or_file.string()));
  if (!fs::is_directory(folder_or_file, ignored)) {
    if (folder_or_file.extension() == ".json") return open_sharded(folder_or_file, folder_or_file);
    std::vector<SafetensorsFile> files;
    files.emplace_back(folder_or_file);
    return Checkpoint(folder_or_file, std::move(files));
  }
  if (is_there(folder_or_file / kSingle)) {
    std::vector<SafetensorsFile> files;
    files.emplace_back(folder_or_file / kSingle);
    return Checkpoint(folder_or_file, std::move(files));
  }
  if (is_there(folder_or_file / kIndex)) return open_sharded(folder_or_file, folder_or_file / kIndex);
  for (const char* pickled : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (is_there(folder_or_file / pickled))
      throw Error(ErrorKind::unsupported, fmt::format("{}: found {} only, expected safetensors weights ({})",
                                                      folder_or_file.string(), pickled, kSingle));
  throw Error(ErrorKind::usage,
              fmt::format("{}: found no weights, expected {} or {}", folder_or_file.string(), kSingle, kIndex));
}

Checkpoint Checkpoint::open_sharded(const fs::path& path, const fs::path& index) {
  auto shard_of = read_weight_map(index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  fs::path folder = index.parent_path();
  std::vector<SafetensorsFile> files;
  for (const auto& shard : shards) {
    if (!is_there(folder / shard))
      throw Error(ErrorKind::usage, fmt::format("{}: not found, expected the shard that {} names",
                                                (folder / shown_text(shard)).string(), index.filename().string()));
    files.emplace_back(folder / shard);
    for (const auto& tensor : files.back().tensors()) {
      auto listed = shard_of.find(tensor.name);
      if (listed == shard_of.end() || listed->second != shard)
        throw Error(ErrorKind::format,
                    fmt::format("{}: found the tensor {}, expected only what {} lists for this shard",
                                files.back().path().string(), shown_text(tensor.name), index.filename().string()));
    }
  }
  std::map<std::string_view, const SafetensorsFile*> opened;
  for (size_t i = 0; const auto& shard : shards) opened[shard] = &files[i++];
  for (const auto& [tensor, shard] : shard_of)
    if (opened.at(shard)->find(tensor) == nullptr)
      throw Error(ErrorKind::format,
                  fmt::format("{}: weight_map: found the tensor {} listed for {}, expected it in that "
                              "shard",
                              index.string(), shown_text(tensor), shown_text(shard)));
  return Checkpoint(path, std::move(files));
}

Checkpoint::Checkpoint(fs::path path, std::vector<SafetensorsFile> files)
    : path_(std::move(path)), files_(std::move(files)) {
  std::vector<size_t> file_of_tensor;
  for (size_t i = 0; i < files_.size(); ++i)
    for (const auto& tensor : files_[i].tensors()) {
      tensors_.push_back(tensor);
      file_of_tensor.push_back(i);
      total_bytes_ += tensor.size;
    }
  by_name_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, Place{i, file_of_tensor[i]});
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second.tensor];
}

const SafetensorsFile& Checkpoint::shard_of(const TensorInfo& tensor) const {
  auto it = by_name_.find(tensor.name);
  if (it == by_name_.end())
    throw Error(ErrorKind::internal,
                fmt::format("{}: tensor {} is of another checkpoint", path_.string(), shown_text(tensor.name)));
  return files_[it->second.file];
}

std::span<std::byte> Checkpoint::data(const TensorInfo& tensor) const { return shard_of(tensor).data(tensor); }

const fs::path& Checkpoint::file_of(const TensorInfo& tensor) const { return shard_of(tensor).path(); }

bool Checkpoint::move_to_large_pages() {
  if (large_pages_.empty())
    for (const SafetensorsFile& file : files_) large_pages_.emplace_back(file.bytes());
  return std::ranges::any_of(large_pages_, [](LargePages& pages) { return pages.move_some(); });
}

bool Checkpoint::holds(std::span<const std::byte> bytes) const {
  return std::ranges::any_of(files_, [&](const SafetensorsFile& file) {
    auto whole = file.bytes();
    return bytes.data() >= whole.data() && bytes.data() + bytes.size() <= whole.data() + whole.size();
  });
}

}  // namespace nuri
