#include "train/recipe.h"

#include <fmt/format.h>

#include "base/error.h"

namespace nuri {
namespace {

int64_t at_least(const ConfigReader& reader, std::string_view key, int64_t least, int64_t value) {
  if (value < least) reader.reject(key, fmt::format("at least {}", least));
  return value;
}

double not_negative(const ConfigReader& reader, std::string_view key, double fallback) {
  double value = reader.optional(key, fallback);
  if (!(value >= 0)) reader.reject(key, "at least 0");
  return value;
}

// The share of a moment that a step keeps.
double decay(const ConfigReader& reader, std::string_view key, double fallback) {
  double value = not_negative(reader, key, fallback);
  if (value >= 1) reader.reject(key, "less than 1");
  return value;
}

OptimizerOptions read_optimizer(const ConfigReader& reader) {
  OptimizerOptions options;
  options.beta1 = decay(reader, "beta1", options.beta1);
  options.beta2 = decay(reader, "beta2", options.beta2);
  options.momentum = decay(reader, "momentum", options.momentum);
  options.epsilon = not_negative(reader, "epsilon", options.epsilon);
  options.weight_decay = not_negative(reader, "weight_decay", options.weight_decay);
  options.muon = reader.optional("muon", options.muon);
  options.adamw_share = not_negative(reader, "adamw_share", options.adamw_share);
  return options;
}

TrainOptions read_train(const ConfigReader& reader) {
  TrainOptions options;
  options.steps = at_least(reader, "steps", 1, reader.required<int64_t>("steps"));
  options.batch = at_least(reader, "batch", 1, reader.required<int64_t>("batch"));
  options.accumulate = at_least(reader, "accumulate", 1, reader.optional("accumulate", options.accumulate));
  options.learning_rate = reader.required<double>("learning_rate");
  if (!(options.learning_rate > 0)) reader.reject("learning_rate", "a number greater than 0");
  options.final_rate = not_negative(reader, "final_rate", options.learning_rate / 50);
  options.warmup = at_least(reader, "warmup", 0, reader.optional("warmup", options.steps / 20));
  options.clip = not_negative(reader, "clip", options.clip);
  std::string autocast = reader.optional<std::string>("autocast", "none");
  if (autocast != "none" && autocast != "bfloat16") reader.reject("autocast", "none or bfloat16");
  options.autocast = autocast == "bfloat16";
  options.optimizer = read_optimizer(reader);
  options.freeze = reader.optional("freeze", std::vector<std::string>{});
  options.save_every = at_least(reader, "save_every", 1, reader.optional("save_every", options.steps));
  options.keep = at_least(reader, "keep", 1, reader.optional("keep", options.keep));
  options.log_every = at_least(reader, "log_every", 1, reader.optional("log_every", options.log_every));
  return options;
}

// The tables of an array under `key`, each as a reader that names the recipe and the table's place.
std::vector<ConfigReader> tables(const ConfigReader& reader, std::string_view key) {
  std::vector<ConfigReader> list;
  auto items = reader.maybe<std::vector<Json>>(key);
  if (!items) return list;
  for (size_t i = 0; i < items->size(); ++i)
    list.emplace_back((*items)[i], fmt::format("{} [{}]", reader.where(key), i + 1));
  return list;
}

// The three tables that become files beside the weights.
void read_model(const ConfigReader& reader, const std::vector<Stage>& earlier, Stage& stage) {
  if (auto name = reader.maybe<std::string>("like")) {
    for (const auto& other : earlier) {
      if (other.name != *name) continue;
      stage.model = other.model, stage.processor = other.processor, stage.generation = other.generation;
      return;
    }
    reader.reject("like", "the name of an earlier stage");
  }
  stage.model = reader.required<Json>("model");
  stage.processor = reader.optional("processor", Json());
  stage.generation = reader.optional("generation", Json());
  for (const auto& [key, table] : {std::pair("model", &stage.model), std::pair("processor", &stage.processor),
                                   std::pair("generation", &stage.generation)})
    if (!table->is_null() && !table->is_object()) reader.reject(key, "a table");
}

Stage read_stage(const ConfigReader& reader, const std::vector<Stage>& earlier) {
  for (const auto& other : earlier)
    if (other.name == reader.required<std::string>("name")) reader.reject("name", "a name that no other stage has");
  Stage stage{.name = reader.required<std::string>("name"),
              .model = {},
              .processor = {},
              .generation = {},
              .start = {},
              .scale = {},
              .train = read_train(reader.child("train")),
              .objective = ConfigReader(reader.required<Json>("objective"), reader.where("objective"))};
  read_model(reader, earlier, stage);
  if (stage.name.empty() || stage.name.find('/') != std::string::npos || stage.name.starts_with("."))
    reader.reject("name", "a name that can be a folder's");
  for (const auto& start : tables(reader, "start")) {
    stage.start.push_back({start.required<std::string>("from"), start.optional<std::string>("take", ""),
                           start.optional<std::string>("as", "")});
    start.refuse_unknown_keys();
  }
  for (const auto& scale : tables(reader, "scale")) {
    stage.scale.push_back({scale.required<double>("by"), scale.required<std::vector<std::string>>("weights")});
    if (!(stage.scale.back().by > 0)) scale.reject("by", "a number greater than 0");
    scale.refuse_unknown_keys();
  }
  reader.refuse_unknown_keys();
  return stage;
}

}  // namespace

Recipe read_recipe(const std::filesystem::path& file) {
  ConfigReader reader(read_toml_file(file), file.string());
  Recipe recipe;
  recipe.file = file;
  recipe.name = reader.required<std::string>("name");
  recipe.output = reader.optional<std::string>("output", "runs/" + recipe.name);
  recipe.seed = static_cast<uint64_t>(reader.optional<int64_t>("seed", 1));
  if (auto table = reader.maybe<Json>("tokenizer")) recipe.tokenizer.emplace(*table, reader.where("tokenizer"));
  for (const auto& stage : tables(reader, "stage")) recipe.stages.push_back(read_stage(stage, recipe.stages));
  if (recipe.stages.empty())
    throw Error(ErrorKind::usage, fmt::format("{}: found no [[stage]], expected at least one", file.string()));
  if (auto folder = reader.maybe<std::string>("export")) recipe.export_to = *folder;
  if (auto table = reader.maybe<Json>("evaluation")) recipe.evaluation.emplace(*table, reader.where("evaluation"));
  reader.refuse_unknown_keys();
  return recipe;
}

}  // namespace nuri
