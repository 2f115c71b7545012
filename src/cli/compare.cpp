#include "tasks/compare.h"

#include <fmt/format.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/terminal.h"

namespace nuri::cli {
namespace {

struct Flags {
  CompareRequest request;
  bool json = false;
};

Json to_json(const Estimate& estimate) { return {{"value", estimate.value}, {"error", estimate.error}}; }

Json to_json(const TokenComparison& next) {
  return {{"tokens", next.tokens},
          {"perplexity_a", to_json(next.perplexity_a)},
          {"perplexity_b", to_json(next.perplexity_b)},
          {"perplexity_ratio", to_json(next.perplexity_ratio)},
          {"kl", to_json(next.kl)},
          {"kl_median", next.kl_median},
          {"kl_99", next.kl_99},
          {"kl_most", next.kl_most},
          {"equal_top", to_json(next.equal_top)}};
}

Json to_json(const ModelOptions& model) {
  return {
      {"model", model.model}, {"dtype", model.dtype.empty() ? Json() : Json(model.dtype)}, {"weights", model.weights}};
}

Json to_json(const CompareRequest& request, const CompareResult& result) {
  Json texts = Json::array(), questions = Json::array();
  for (const auto& [file, next] : result.texts) {
    texts.push_back({{"file", file}});
    texts.back().update(to_json(next));
  }
  for (const QuestionComparison& group : result.questions) {
    questions.push_back({{"group", group.group},
                         {"asked", group.asked},
                         {"equal_answers", to_json(group.equal_answers)},
                         {"answers", to_json(group.answers)}});
    if (group.expected) questions.back()["expected"] = to_json(*group.expected);
  }
  return {{"a", to_json(request.a)}, {"b", to_json(request.b)}, {"texts", texts}, {"questions", questions}};
}

std::string told(const ModelOptions& model) {
  return fmt::format("{} ({}, {} weights)", one_line(model.model),
                     model.dtype.empty() ? "the file's type" : model.dtype, model.weights);
}

std::string perplexities(const TokenComparison& next) {
  return fmt::format("  perplexity     A {:.4f} ({:.4f}), B {:.4f} ({:.4f}), B / A {:.5f} ({:.5f})\n",
                     next.perplexity_a.value, next.perplexity_a.error, next.perplexity_b.value, next.perplexity_b.error,
                     next.perplexity_ratio.value, next.perplexity_ratio.error);
}

std::string distances(const TokenComparison& next) {
  return fmt::format(
      "  KL divergence  {:.6f} ({:.6f}) nats; half below {:.6f}, 99 % below {:.6f}, all below {:.6f}\n"
      "  equal top      {:.2f} % ({:.2f})\n",
      next.kl.value, next.kl.error, next.kl_median, next.kl_99, next.kl_most, 100 * next.equal_top.value,
      100 * next.equal_top.error);
}

void print_result(const CompareRequest& request, const CompareResult& result) {
  print(fmt::format("A: {}\nB: {}\nin brackets: standard errors\n", told(request.a), told(request.b)));
  for (const auto& [file, next] : result.texts)
    print(fmt::format("{}: {} tokens\n{}{}", one_line(file), next.tokens, perplexities(next), distances(next)));
  for (const QuestionComparison& group : result.questions) {
    print(fmt::format("questions{}: {}\n  equal answers  {:.2f} % ({:.2f})\n",
                      group.group.empty() ? "" : ", " + one_line(group.group), group.asked,
                      100 * group.equal_answers.value, 100 * group.equal_answers.error));
    print(fmt::format(" A's answers: {} tokens\n{}", group.answers.tokens, distances(group.answers)));
    if (group.expected)
      print(fmt::format(" what was expected: {} tokens\n{}{}", group.expected->tokens, perplexities(*group.expected),
                        distances(*group.expected)));
  }
}

// What was not said of B is as of A.
void settle(CompareRequest& request) {
  request.b.device = request.a.device, request.b.threads = request.a.threads;
  if (!request.b.model.empty()) return;
  request.b.model = request.a.model;
  if (request.b.dtype == request.a.dtype && request.b.weights == request.a.weights)
    throw Error(ErrorKind::usage,
                "compare: found one model and nothing that differs, expected B, --weights or --dtype");
}

void add_models(CLI::App* verb, ModelOptions& a, ModelOptions& b) {
  verb->add_option("A", a.model, "The model that is the measure: a folder, or the name of a bundled model")->required();
  verb->add_option("B", b.model, "The model that is held against it; A itself when not given");
  verb->add_option("--weights", b.weights,
                   "Of B: native (as in the file), int8 or int4: rounded while loading; bf12: bfloat16 in 12 bits, the "
                   "same numbers")
      ->capture_default_str();
  verb->add_option("--dtype", b.dtype, "Of B: float32, bfloat16 or float16; as in the file when not given");
  verb->add_option("--reference-weights", a.weights, "The same of A")->capture_default_str();
  verb->add_option("--reference-dtype", a.dtype, "The same of A");
  verb->add_option("--device", a.device, "cpu or cuda")->capture_default_str();
  verb->add_option("--threads", a.threads, "Threads; all cores when not given")->check(at_least(1));
}

}  // namespace

void add_compare(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CompareRequest& request = flags->request;
  CLI::App* verb = add_verb(app, "compare", "Say how far a model is from another, or from itself with smaller weights",
                            "nuri compare emoji-world --weights int4 -i docs/scene.png --question \"What is here?\"");
  add_models(verb, request.a, request.b);
  auto one = [](CLI::Option* option) { option->allow_extra_args(false); };
  one(verb->add_option("--text", request.texts, "A file of plain text; may be given several times"));
  one(verb->add_option(
      "--ids", request.ids,
      "A file of token ids, one sequence a line: [1, 2, 3] or {\"ids\": [1, 2, 3]}; needs no tokenizer"));
  verb->add_option("--window", request.window,
                   "Tokens that are read together; 512, or the context where it is shorter, when not given")
      ->check(at_least(2));
  verb->add_option("-i,--image", request.pictures, "Pictures (JPEG, PNG, WebP); each --question is asked of each");
  one(verb->add_option("--question", request.questions, "A question; may be given several times"));
  one(verb->add_option("--questions", request.question_files,
                       "A file of questions, one a line: {\"question\": text, \"picture\": file, \"expected\": text}"));
  verb->add_option("--by", request.group_by, "A key of these lines: those with the same value are told together too");
  verb->add_option("--max-tokens", request.max_tokens, "Longest answer")->check(at_least(1))->capture_default_str();
  verb->add_flag("--json", flags->json, "One JSON object in place of the text");
  add_max_pixels(verb, request.limits);
  verb->callback([flags] {
    settle(flags->request);
    CompareResult result = compare(flags->request);
    if (flags->json) return print_json(to_json(flags->request, result));
    print_result(flags->request, result);
  });
}

}  // namespace nuri::cli
