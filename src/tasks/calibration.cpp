#include "tasks/calibration.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/report.h"
#include "models/parts/inputs.h"
#include "tasks/pictures.h"
#include "text/chat_template.h"
#include "weights/packing.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWindow = 512;                    // tokens of a text that are read at a time
constexpr int64_t kMomentBytes = int64_t{1} << 31;  // of all that are collected in one run

bool is_watched(const RecordingStore::Entry& entry) { return entry.coding && kernels::is_four_bits(*entry.coding); }

}  // namespace

Calibration::Calibration(const fs::path& model, const fs::path& file, const std::vector<RecordingStore::Entry>& entries)
    : folder_(model), processor_(open_processor(model)), opened_(open_model(model, LoadOptions{})) {
  read(file);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : opened_.parameters) tensors.emplace(name, tensor);
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto& [name, shape, dtype, coding, part, bytes] = entries[i];
    names_.push_back(name);
    widths_.push_back(shape.size() == 2 ? shape[1] : 0);
    if (!is_watched(entries[i])) continue;
    at::Tensor numbers = part ? cut(tensors.at(part->tensor), *part, shape[0]) : tensors.at(name);
    watched_.emplace(numbers.const_data_ptr(), i);
  }
}

void Calibration::read(const fs::path& file) {
  std::string text = read_file(file);
  if (file.extension() == ".jsonl") {
    std::istringstream lines(text);
    std::string line;
    for (int64_t number = 1; std::getline(lines, line); ++number) {
      std::string where = fmt::format("{}:{}", file.string(), number);
      if (line.find_first_not_of(" \t\r") != std::string::npos)
        add_line(parse_json(line, where), file.parent_path(), where);
    }
  } else {
    add_text(text);
  }
  if (inputs_.empty())
    throw Error(ErrorKind::usage, fmt::format("{}: found no text, expected texts to calibrate with", file.string()));
}

void Calibration::add_text(const std::string& text) {
  PreparedPrompt prompt = (*processor_)(text, {}, true);
  const auto length = static_cast<int64_t>(prompt.ids.size());
  auto* model = dynamic_cast<CausalLM*>(opened_.model.get());
  const int64_t window = model != nullptr ? std::min(kWindow, model->limits().context) : kWindow;
  for (int64_t begin = 0; begin < length; begin += window) {
    const int64_t count = std::min(window, length - begin);
    at::Tensor ids =
        at::tensor(at::ArrayRef<int32_t>(prompt.ids).slice(static_cast<size_t>(begin), static_cast<size_t>(count)));
    inputs_.push_back({{"input_ids", ids.to(at::kLong).unsqueeze(0)}});
  }
}

void Calibration::add_line(const Json& json, const fs::path& folder, const std::string& where) {
  ConfigReader line(json, where);
  std::vector<std::string> files;
  if (auto named = line.maybe<std::vector<std::string>>("images"))
    for (const std::string& name : *named) files.push_back(folder / name);
  std::string text;
  if (line.has("messages")) {
    auto chat = ChatTemplate::from_folder(folder_);
    if (!chat) line.reject("messages", "\"text\", since the model has no chat template");
    text = chat->render(line.required<Json>("messages"), Json::object(), /*add_generation_prompt=*/false);
  } else {
    text = line.required<std::string>("text");
  }
  line.refuse_unknown_keys();
  PreparedPrompt prompt = (*processor_)(text, read_pictures(files, {}), !line.has("messages"));
  inputs_.push_back(take_tensors(prompt));
}

void Calibration::see(const at::Tensor& x, std::span<const ops::Factor> factors) {
  std::optional<size_t> leader;
  for (const ops::Factor& factor : factors) {
    if (!factor.weight.defined()) continue;
    auto found = watched_.find(factor.weight.const_data_ptr());
    if (found == watched_.end() || !wanted_.contains(found->second)) continue;
    if (!leader) leader = leader_.try_emplace(found->second, found->second).first->second;
    leader_.try_emplace(found->second, *leader);
  }
  if (!leader || x.numel() == 0) return;
  at::Tensor rows = x.reshape({-1, x.size(-1)}).to(at::kFloat);
  auto [sum, fresh] = moments_.try_emplace(*leader);
  if (fresh) sum->second = at::zeros({rows.size(1), rows.size(1)}, at::kFloat);
  sum->second.addmm_(rows.t(), rows);
}

// Nobody watches any longer, however a run ends.
struct Unwatch {
  ~Unwatch() { ops::observe_products(nullptr); }
};

void Calibration::run(size_t first) {
  moments_.clear(), leader_.clear(), wanted_.clear();
  int64_t bytes = 0;
  std::set<size_t> following;
  for (const auto& [place, index] : watched_)
    if (index >= first) following.insert(index);
  for (size_t index : following) {
    bytes += widths_[index] * widths_[index] * 4;
    if (!wanted_.empty() && bytes > kMomentBytes) break;
    wanted_.insert(index);
  }
  Unwatch unwatch;
  ops::observe_products(this);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    check_interrupt();
    report_progress("calibrating", static_cast<int64_t>(i), static_cast<int64_t>(inputs_.size()),
                    fmt::format("{} matrices at once", wanted_.size()));
    opened_.model->forward(inputs_[i]);
  }
}

at::Tensor Calibration::moments(size_t index) {
  if (!wanted_.contains(index)) run(index);
  auto leader = leader_.find(index);
  if (leader == leader_.end()) {
    warn(
        fmt::format("{}: no text of the calibration came to this matrix; it is rounded to the nearest", names_[index]));
    return at::zeros({widths_[index], widths_[index]}, at::kFloat);
  }
  return moments_.at(leader->second);
}

}  // namespace nuri
