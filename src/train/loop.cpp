#include "train/loop.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/report.h"
#include "models/registry.h"
#include "train/assets.h"
#include "train/folder_lock.h"
#include "train/metrics.h"
#include "train/objective.h"
#include "train/run_state.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

// Products in bfloat16 inside its scope.
class Autocast {
 public:
  explicit Autocast(bool on) : on_(on) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
};

// Weights that a stage trains: read so far through any view, but for the frozen ones.
std::vector<NamedTensor> trained_parameters(const Recipe& recipe, const TrainOptions& options,
                                            const std::vector<NamedTensor>& ledger) {
  std::vector<size_t> used(options.freeze.size(), 0);
  std::vector<NamedTensor> trained;
  for (const auto& parameter : ledger) {
    bool frozen = false;
    for (size_t i = 0; i < options.freeze.size(); ++i)
      if (fits_pattern(parameter.name, options.freeze[i])) frozen = true, ++used[i];
    parameter.tensor.set_requires_grad(!frozen);
    if (!frozen) trained.push_back(parameter);
  }
  for (size_t i = 0; i < used.size(); ++i)
    if (used[i] == 0)
      throw Error(ErrorKind::usage, fmt::format("{}: freeze: found the pattern {}, which fits no parameter",
                                                recipe.file.string(), options.freeze[i]));
  for (const auto& pattern : options.optimizer.muon)
    if (std::none_of(trained.begin(), trained.end(),
                     [&](const auto& p) { return p.tensor.dim() == 2 && fits_pattern(p.name, pattern); }))
      throw Error(ErrorKind::usage, fmt::format("{}: muon: found the pattern {}, which fits no matrix that is trained",
                                                recipe.file.string(), pattern));
  if (trained.empty())
    throw Error(ErrorKind::usage, fmt::format("{}: freeze: all parameters are frozen", recipe.file.string()));
  return trained;
}

// One stage from its start or its newest checkpoint to its last step.
class StageRun {
 public:
  StageRun(const Recipe& recipe, const Stage& stage)
      : recipe_(recipe),
        stage_(stage),
        folder_(recipe.stage_folder(stage)),
        files_(make_assets(recipe, stage)),
        resumed_(newest_checkpoint(folder_)) {
    ConfigReader config(stage.model, recipe.file.string() + ": " + stage.name + ".model");
    auto store = make_store();
    WeightView weights(store);
    model_ = family_of(config).make(config, weights);
    objective_ = make_objective(
        {stage.objective, *model_, config, weights / "objective", assets_folder(recipe, stage), recipe.seed});
    store->expect_all_used();
    ledger_ = weights.ledger();
    optimizer_.emplace(trained_parameters(recipe, stage.train, ledger_), stage.train.optimizer);
    resumed_ ? load_training_state() : start();
  }

  void run() {
    const TrainOptions& train = stage_.train;
    Metrics metrics(folder_ / "metrics.jsonl", step_);
    while (step_ < train.steps) {
      one_step(metrics);
      bool last = step_ == train.steps, stop = interrupt_requested();
      if (last || stop || step_ % train.save_every == 0) {
        save_checkpoint(folder_, {stage_.model, files_, ledger_, *optimizer_, step_}, train.keep);
        write_file_atomically(folder_ / "loss.svg", plot_losses(metrics.lines(), recipe_.name + ": " + stage_.name));
      }
      if (stop) check_interrupt();
    }
  }

  const std::vector<NamedTensor>& parameters() const { return ledger_; }

 private:
  std::shared_ptr<TrainingStore> make_store() {
    auto store = std::make_shared<TrainingStore>(recipe_.seed);
    auto open = [](const fs::path& folder) {
      ConfigReader source = read_config(folder);
      return std::make_shared<CheckpointStore>(folder, family_of(source).names(source), LoadOptions{});
    };
    if (resumed_) {
      resumed_weights_ = open(resumed_->folder);
      store->add(resumed_weights_, "", "");
      return store;
    }
    for (const auto& start : stage_.start) store->add(open(source_folder(start.from)), start.take, start.as);
    return store;
  }

  fs::path source_folder(const std::string& from) const {
    for (const auto& stage : recipe_.stages) {
      if (stage.name != from) continue;
      auto newest = newest_checkpoint(recipe_.stage_folder(stage));
      if (!newest)
        throw Error(ErrorKind::usage,
                    fmt::format("{}: start.from: the stage {} has no checkpoint yet", recipe_.file.string(), from));
      return newest->folder;
    }
    return from;
  }

  void load_training_state() {
    fs::path file = resumed_->folder / "training.safetensors";
    auto state = read_tensors(file);
    expect_whole(state, file);
    optimizer_->load_state(state, file.string());
    take_heads(state);
    step_ = resumed_->step;
  }

  // A weight that began anew in the middle of a run would spoil it unseen. Shapes of the model's own were checked when
  // they were read.
  void expect_whole(const std::map<std::string, at::Tensor>& state, const fs::path& file) const {
    for (const auto& [name, tensor] : ledger_) {
      bool head = name.starts_with(kHeadPrefix);
      auto found = state.find(name);
      if (head ? found != state.end() && found->second.sizes() == tensor.sizes() : resumed_weights_->has(name))
        continue;
      throw Error(ErrorKind::format,
                  fmt::format("{}: tensor {}: {}, expected shape [{}]",
                              (head ? file : resumed_->folder / "model.safetensors").string(), name,
                              head && found != state.end()
                                  ? fmt::format("found shape [{}]", fmt::join(found->second.sizes(), ", "))
                                  : "not found",
                              fmt::join(tensor.sizes(), ", ")));
    }
    resumed_weights_->expect_all_taken();
  }

  void start() {
    start_heads();
    for (const auto& scale : stage_.scale)
      for (const auto& pattern : scale.weights) scale_weights(pattern, scale.by);
  }

  void scale_weights(const std::string& pattern, double factor) {
    at::NoGradGuard no_grad;
    bool found = false;
    for (const auto& [name, tensor] : ledger_)
      if (fits_pattern(name, pattern)) at::Tensor(tensor).mul_(factor), found = true;
    if (!found)
      throw Error(ErrorKind::usage, fmt::format("{}: scale: found the pattern {}, which fits no parameter",
                                                recipe_.file.string(), pattern));
  }

  // A head that an earlier stage trained under the same name and shape goes on from there, so that a new head does
  // not first undo what the model has learned.
  void start_heads() {
    for (const auto& start : stage_.start) {
      fs::path file = source_folder(start.from) / "training.safetensors";
      if (fs::exists(file)) take_heads(read_tensors(file));
    }
  }

  void take_heads(const std::map<std::string, at::Tensor>& state) {
    at::NoGradGuard no_grad;
    for (const auto& [name, tensor] : ledger_) {
      auto found = state.find(name);
      if (name.starts_with(kHeadPrefix) && found != state.end() && found->second.sizes() == tensor.sizes())
        at::Tensor(tensor).copy_(found->second);
    }
  }

  void one_step(Metrics& metrics) {
    const TrainOptions& train = stage_.train;
    auto begin = std::chrono::steady_clock::now();
    double rate = cosine_rate(step_, train.warmup, train.steps, train.learning_rate, train.final_rate);
    optimizer_->zero_gradients();
    double total = 0;
    std::map<std::string, double> parts;
    for (int64_t pass = 0; pass < train.accumulate; ++pass) {
      uint64_t first = static_cast<uint64_t>((step_ * train.accumulate + pass) * train.batch);
      Objective::Loss loss;
      {
        Autocast autocast(train.autocast);
        loss = objective_->loss(first, train.batch);
      }
      at::Tensor scaled = loss.total / static_cast<double>(train.accumulate);
      scaled.backward();
      total += scaled.item<double>();
      for (const auto& [name, value] : loss.parts) parts[name] += value / static_cast<double>(train.accumulate);
    }
    double norm = optimizer_->clip_gradients(train.clip);
    if (!std::isfinite(total) || !std::isfinite(norm))
      throw Error(
          ErrorKind::internal,
          fmt::format("{}: the loss of step {} is not finite; a lower learning_rate may help", stage_.name, step_ + 1));
    optimizer_->step(rate);
    ++step_;
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (step_ % train.log_every == 0 || step_ == train.steps) {
      Json line = {{"step", step_}, {"loss", total}, {"learning_rate", rate}, {"gradient_norm", norm}};
      for (const auto& [name, value] : parts) line[name] = value;
      line["seconds"] = seconds;
      metrics.add(line);
    }
    report_progress(stage_.name, step_, train.steps, fmt::format("loss {:.4f}, {:.2f} s a step", total, seconds));
  }

  const Recipe& recipe_;
  const Stage& stage_;
  fs::path folder_;
  std::vector<fs::path> files_;
  std::optional<RunCheckpoint> resumed_;
  std::shared_ptr<CheckpointStore> resumed_weights_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Objective> objective_;
  std::vector<NamedTensor> ledger_;
  std::optional<Optimizer> optimizer_;
  int64_t step_ = 0;
};

}  // namespace

void run_recipe(const Recipe& recipe) {
  FolderLock lock(recipe.output);
  for (const auto& stage : recipe.stages) {
    auto newest = newest_checkpoint(recipe.stage_folder(stage));
    if (newest && newest->step >= stage.train.steps) continue;
    StageRun(recipe, stage).run();
  }
  if (!recipe.export_to) return;
  const Stage& last = recipe.stages.back();
  fs::path folder = newest_checkpoint(recipe.stage_folder(last))->folder;
  export_model(folder, *recipe.export_to, open_model(folder, LoadOptions{}).parameters);
}

}  // namespace nuri
