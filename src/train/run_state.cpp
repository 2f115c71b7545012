#include "train/run_state.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::string> kMetadata = {{"format", "pt"}};

std::vector<RunCheckpoint> checkpoints(const fs::path& stage_folder) {
  std::vector<RunCheckpoint> list;
  if (!fs::is_directory(stage_folder)) return list;
  for (const auto& entry : fs::directory_iterator(stage_folder)) {
    std::string name = entry.path().filename();
    constexpr size_t kPrefix = 5, kMostDigits = 18;  // "step-"
    if (!name.starts_with("step-") || name.size() == kPrefix || name.size() > kPrefix + kMostDigits ||
        name.find_first_not_of("0123456789", kPrefix) != std::string::npos)
      continue;
    list.push_back({entry.path(), std::stoll(name.substr(5))});
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return list;
}

void sync_folder(const fs::path& folder) {
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

std::vector<NamedTensor> model_weights(const std::vector<NamedTensor>& parameters) {
  std::vector<NamedTensor> weights;
  for (const auto& parameter : parameters)
    if (!parameter.name.starts_with(kHeadPrefix)) weights.push_back(parameter);
  return weights;
}

void write_checkpoint(const fs::path& partial, const SaveRequest& request) {
  fs::remove_all(partial);
  make_folder(partial);
  for (const auto& file : request.files) write_file_atomically(partial / file.filename(), read_file(file));
  write_file_atomically(partial / "config.json", request.model_config.dump(2) + "\n");
  write_tensors(partial / "model.safetensors", model_weights(request.parameters), kMetadata);
  std::vector<NamedTensor> state = request.optimizer.state();
  for (const auto& parameter : request.parameters)
    if (parameter.name.starts_with(kHeadPrefix)) state.push_back(parameter);
  write_tensors(partial / "training.safetensors", state);
  write_file_atomically(partial / "training.json", Json({{"step", request.step}}).dump() + "\n");
  sync_folder(partial);
}

}  // namespace

std::optional<RunCheckpoint> newest_checkpoint(const fs::path& stage_folder) {
  auto list = checkpoints(stage_folder);
  return list.empty() ? std::nullopt : std::optional(list.back());
}

void save_checkpoint(const fs::path& stage_folder, const SaveRequest& request, int64_t keep) {
  fs::path whole = stage_folder / fmt::format("step-{:08}", request.step);
  fs::path partial = stage_folder / ".partial";
  try {
    write_checkpoint(partial, request);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  fs::remove_all(whole);
  fs::rename(partial, whole);
  sync_folder(stage_folder);
  auto list = checkpoints(stage_folder);
  for (size_t i = 0; i + static_cast<size_t>(keep) < list.size(); ++i) fs::remove_all(list[i].folder);
}

void export_model(const fs::path& from_checkpoint, const fs::path& folder, const std::vector<NamedTensor>& parameters) {
  make_folder(folder);
  std::vector<NamedTensor> weights = model_weights(parameters);
  for (auto& weight : weights) weight.tensor = weight.tensor.detach().to(at::kBFloat16);
  write_tensors(folder / "model.safetensors", weights, kMetadata);
  for (const auto& entry : fs::directory_iterator(from_checkpoint)) {
    std::string name = entry.path().filename();
    if (name == "model.safetensors" || name.starts_with("training.")) continue;
    std::string text = read_file(entry.path());
    if (name == "config.json") {
      Json config = parse_json(text, entry.path().string());
      config["dtype"] = "bfloat16";
      text = config.dump(2) + "\n";
    }
    write_file_atomically(folder / name, text);
  }
}

}  // namespace nuri
