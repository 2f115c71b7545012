#include "tasks/bench.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {
namespace {

struct Flags {
  BenchRequest request;
  std::string image;
  bool json = false;
};

void read_size(const std::string& text, BenchRequest& request) {
  char rest = 0;
  if (std::sscanf(text.c_str(), "%ldx%ld%c", &request.width, &request.height, &rest) != 2 || request.width < 1 ||
      request.height < 1)
    throw Error(ErrorKind::usage, fmt::format("--image: found {}, expected WIDTHxHEIGHT", text));
}

Json measured_json(const BenchResult::Speculation& found) {
  Json told = speculation_json(found.counts);
  told["plain_tokens_per_s"] = found.plain_tokens_per_s;
  told["tokens_per_s"] = found.tokens_per_s;
  return told;
}

void run(Flags& flags) {
  if (!flags.image.empty()) read_size(flags.image, flags.request);
  BenchResult result = bench(flags.request);
  if (flags.json) {
    Json told = {{"prefill_tokens_per_s", result.prefill_tokens_per_s},
                 {"decode_tokens_per_s", result.decode_tokens_per_s},
                 {"encode_s", result.encode_s},
                 {"load_s", result.load_s},
                 {"peak_rss_bytes", result.peak_rss_bytes},
                 {"decode_depth", result.decode_depth},
                 {"sequences", flags.request.sequences}};
    if (result.speculation) told["speculation"] = measured_json(*result.speculation);
    return print_json(told);
  }
  print(fmt::format(
      "prefill {:10.1f} tokens/s\ndecode  {:10.1f} tokens/s\nload    {:10.2f} s\nmemory  {:10.2f} GB at most\n",
      result.prefill_tokens_per_s, result.decode_tokens_per_s, result.load_s,
      static_cast<double>(result.peak_rss_bytes) / 1e9));
  if (flags.request.width > 0) print(fmt::format("encode  {:10.3f} s a picture\n", result.encode_s));
  if (const auto& found = result.speculation)
    print(fmt::format("answer  {:10.1f} tokens/s, {:.1f} with speculation, which added {:.2f} tokens a step\n",
                      found->plain_tokens_per_s, found->tokens_per_s, found->counts.accepted_per_step()));
}

}  // namespace

void add_bench(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* verb =
      add_verb(app, "bench", "Measure a model's speed on random tokens", "nuri bench emoji-world -p 128 -n 32");
  add_model_flags(verb, flags->request.model);
  add_cache_flag(verb, flags->request.model);
  verb->add_option("-p", flags->request.prompt_tokens, "Tokens of the prompt")->capture_default_str();
  verb->add_option("-n", flags->request.decoded_tokens, "Tokens decoded behind it")->capture_default_str();
  verb->add_option("-d,--depth", flags->request.depth,
                   "Positions in the cache before either is measured; when not given, none before the prompt, and "
                   "decoding follows the prompt");
  verb->add_option("--sequences", flags->request.sequences,
                   "Sequences at once; tokens a second are of all of them together")
      ->capture_default_str();
  verb->add_option("-r", flags->request.repetitions, "Repetitions; medians are told")->capture_default_str();
  verb->add_option("--image", flags->image, "Also encode a picture of WIDTHxHEIGHT");
  add_speculation_flags(verb, flags->request.speculation);
  verb->add_flag("--json", flags->json, "One JSON object in place of the table");
  verb->callback([flags] { run(*flags); });
}

}  // namespace nuri::cli
