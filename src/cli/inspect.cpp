#include "tasks/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/memory.h"
#include "cli/cli.h"
#include "cli/terminal.h"

namespace nuri::cli {
namespace {

struct Flags {
  InspectRequest request;
  std::string image;
  bool json = false;
};

// "448x672", width and height.
void read_size(const std::string& text, InspectRequest& request) {
  constexpr int64_t kLargestSide = 1 << 16;
  char behind = 0;
  int read = std::sscanf(text.c_str(), "%ldx%ld%c", &request.width, &request.height, &behind);
  if (read != 2 || std::min(request.width, request.height) < 1 ||
      std::max(request.width, request.height) > kLargestSide)
    throw Error(ErrorKind::usage, fmt::format("--image: found {}, expected WIDTHxHEIGHT, sides of 1 to {}",
                                              one_line(text), kLargestSide));
}

// 7,063,427,072
std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto place = static_cast<int64_t>(digits.size()) - 3; place > 0; place -= 3)
    digits.insert(static_cast<size_t>(place), ",");
  return digits;
}

double percent(int64_t part, int64_t total) { return 100 * static_cast<double>(part) / static_cast<double>(total); }

std::string row(std::string_view what, std::string_view text) { return fmt::format("{:<12}  {}\n", what, text); }

std::string parameters_table(const Json& parameters) {
  auto total = parameters["total"].get<int64_t>();
  std::string text = row("parameters", grouped(total));
  auto part = [&](const char* key, const char* what) {
    auto count = parameters[key].get<int64_t>();
    if (count != total) text += row("", fmt::format("{} {} ({:.1f} %)", grouped(count), what, percent(count, total)));
  };
  part("active", "work on one token");
  part("trained", "are trained, the rest stays frozen");
  size_t width = 0;
  for (const auto& [name, count] : parameters["by_module"].items()) width = std::max(width, name.size());
  for (const auto& [name, count] : parameters["by_module"].items())
    text += row("", fmt::format("{:<{}}  {:>18}  {:5.1f} %", name, width, grouped(count.get<int64_t>()),
                                percent(count.get<int64_t>(), total)));
  return text;
}

std::string bytes_table(const Json& told) {
  std::string text;
  for (const auto& [precision, bytes] : told["bytes"].items()) {
    std::string line = fmt::format("{:<8}  {:>12}", precision, readable_bytes(bytes.get<int64_t>()));
    if (told["scale_bytes"].contains(precision))
      line += fmt::format(" ({} of it scales)", readable_bytes(told["scale_bytes"][precision].get<int64_t>()));
    text += row(text.empty() ? "weights" : "", line);
  }
  text += row("", fmt::format("int8, int4: {}", told["quantised_as"].get<std::string>()));
  for (const auto& [coding, sum] : told["codes"].items())
    text += row("", fmt::format("in the file {} parameters of {} matrices are {}, {}",
                                grouped(sum["parameters"].get<int64_t>()), sum["matrices"].get<int64_t>(), coding,
                                readable_bytes(sum["bytes"].get<int64_t>())));
  return text;
}

// Sizes out of a hostile configuration may be beyond 64 bits together.
std::string whole_context(int64_t bytes, int64_t positions) {
  int64_t product;
  return __builtin_mul_overflow(bytes, positions, &product) ? "beyond any memory" : readable_bytes(product);
}

std::string operations(double count) {
  const char* unit = "FLOP";
  for (const char* larger : {"kFLOP", "MFLOP", "GFLOP", "TFLOP"}) {
    if (count < 1000) break;
    count /= 1000, unit = larger;
  }
  return fmt::format("{:.4g} {}", count, unit);
}

std::string work_table(const Json& told) {
  std::string text;
  if (!told["context_length"].is_null()) {
    auto context = told["context_length"].get<int64_t>(), bytes = told["kv_bytes_per_token"].get<int64_t>();
    text += row("context", fmt::format("{} positions", grouped(context)));
    text += row("KV cache", fmt::format("{} bytes a token; {} for the whole context", grouped(bytes),
                                        whole_context(bytes, context)));
    auto coded = told["kv_bytes_per_token_int8"].get<int64_t>();
    text +=
        row("", fmt::format("{} bytes a token with --cache int8; {}", grouped(coded), whole_context(coded, context)));
    text += row("work", operations(told["flops_per_token"].get<double>()) + " a token (decoded, at an empty context)");
  }
  if (!told["flops_per_picture"].is_null()) {
    std::string line = operations(told["flops_per_picture"].get<double>()) + " a picture";
    if (!told["tokens_per_picture"].is_null())
      line += fmt::format(", which takes {} tokens", told["tokens_per_picture"].get<int64_t>());
    text += row(text.empty() ? "work" : "", line);
  }
  return text;
}

std::string memory_line(const Json& memory) {
  std::string line =
      fmt::format("{}: {} of weights, {} available ({})", memory["fits"].get<bool>() ? "fits" : "does not fit",
                  readable_bytes(memory["weights"].get<int64_t>()), readable_bytes(memory["available"].get<int64_t>()),
                  memory["limit"].get<std::string>());
  if (memory["fits"].get<bool>() && !memory["context_that_fits"].is_null())
    line += fmt::format("; room for {} positions", grouped(memory["context_that_fits"].get<int64_t>()));
  return row("this machine", line);
}

void run(const Flags& flags) {
  std::string text = inspect(flags.request);
  if (flags.json) return print(text + "\n");
  Json told = parse_json(text, "inspect");
  std::string table = row("architecture", told["architecture"].get<std::string>());
  table += row("dtype", told["dtype"].get<std::string>());
  table += parameters_table(told["parameters"]) + bytes_table(told) + work_table(told) + memory_line(told["memory"]);
  for (bool first = true; const auto& line : told["assumed"]) {
    table += row(first ? "assumed" : "", line.get<std::string>());
    first = false;
  }
  print(table);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb = add_verb(app, "inspect", "Tell a model's sizes, memory and work, without loading it",
                            "nuri inspect emoji-world --json");
  verb->add_option("MODEL", flags->request.model,
                   "A model folder, a GGUF file, a config.json, or the name of a bundled model")
      ->required();
  verb->add_option("--dtype", flags->request.dtype, "float32, bfloat16 or float16; as in the file when not given");
  verb->add_option("--image", flags->image,
                   "Size of the picture that is counted, where the model takes pictures as they are (448x448)");
  verb->add_flag("--json", flags->json, "One JSON object in place of the table");
  verb->callback([flags] {
    if (!flags->image.empty()) read_size(flags->image, flags->request);
    run(*flags);
  });
}

}  // namespace nuri::cli
