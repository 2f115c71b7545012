#include "tasks/eval.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "models/composed/retrieval.h"
#include "models/registry.h"
#include "tasks/model_folder.h"
#include "train/evaluation.h"
#include "train/recipe.h"
#include "train/run_state.h"

namespace nuri {
namespace {

// What the recipe trains: the exported model, or the newest checkpoint of its last stage.
std::string trained_model(const Recipe& recipe) {
  if (recipe.export_to && std::filesystem::exists(*recipe.export_to)) return recipe.export_to->string();
  auto newest = newest_checkpoint(recipe.stage_folder(recipe.stages.back()));
  if (!newest)
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: found no trained model yet, expected one after nuri train, or --model", recipe.file.string()));
  return newest->folder.string();
}

Json match_names(Model& model, const ModelOptions& model_options, const EvaluationOptions& options) {
  auto* embedder = dynamic_cast<Embedder*>(&model);
  if (embedder == nullptr || !embedder->similarity())
    throw Error(ErrorKind::usage,
                fmt::format("{}: this model does not compare pictures with texts", model_options.model));
  auto pairs = open_pair_processor(find_model(model_options.model));
  c10::InferenceMode inference;
  return evaluate_names(*embedder, *pairs, options);
}

Json try_q_former(Model& model, const ModelOptions& model_options, const EvaluationOptions& options) {
  auto* retrieval = dynamic_cast<ComposedRetrieval*>(&model);
  if (retrieval == nullptr)
    throw Error(ErrorKind::usage, fmt::format("{}: found another model, expected a NuriComposedRetrieval, which has a "
                                              "Q-Former that reads texts",
                                              model_options.model));
  auto folder = find_model(model_options.model);
  c10::InferenceMode inference;
  return evaluate_queries(*retrieval, folder, *open_picture_processor(folder), options);
}

}  // namespace

std::string evaluate(const EvalRequest& request) {
  Recipe recipe = read_recipe(request.recipe);
  if (!recipe.evaluation) throw Error(ErrorKind::usage, fmt::format("{}: found no [evaluation]", recipe.file.string()));
  EvaluationOptions options = read_evaluation_options(*recipe.evaluation);
  options.save = request.save;
  ModelOptions model_options = request.model;
  if (model_options.model.empty()) model_options.model = trained_model(recipe);
  OpenedModel opened = open_model(model_options);
  if (options.kind == EvaluationOptions::Kind::names) return match_names(*opened.model, model_options, options).dump();
  if (options.kind == EvaluationOptions::Kind::q_former)
    return try_q_former(*opened.model, model_options, options).dump();
  auto* model = dynamic_cast<CausalLM*>(opened.model.get());
  if (model == nullptr)
    throw Error(ErrorKind::usage, fmt::format("{}: this model gives no answers", model_options.model));
  auto folder = find_model(model_options.model);
  auto processor = open_processor(folder);
  c10::InferenceMode inference;
  return evaluate_emoji_world(*model, *processor, folder, options).dump();
}

}  // namespace nuri
