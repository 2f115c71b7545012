#include "tasks/quantize.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/memory.h"
#include "cli/arguments.h"
#include "cli/cli.h"

namespace nuri::cli {
namespace {

void tell(const QuantizeRequest& request, const QuantizeReport& report, bool json) {
  if (json)
    return print_json({{"output", request.output},
                       {"matrices", report.matrices},
                       {"parameters_in_codes", report.parameters},
                       {"parameters", report.all_parameters},
                       {"matrices_that_do_not_fit", report.unfit},
                       {"bytes", report.bytes},
                       {"source_bytes", report.source_bytes},
                       {"files", report.shards},
                       {"files_there_before", report.shards_there_before}});
  std::string before = report.shards_there_before == 0 ? ""
                                                       : fmt::format("; {} of {} files were there from an earlier run",
                                                                     report.shards_there_before, report.shards);
  std::string unfit =
      report.unfit == 0 ? "" : fmt::format("; {} matrices do not fit 12 bits and stay as they are", report.unfit);
  print(fmt::format("{}: {} of {} parameters in codes ({} matrices), {} in place of {}{}{}\n", request.output,
                    report.parameters, report.all_parameters, report.matrices, readable_bytes(report.bytes),
                    readable_bytes(report.source_bytes), unfit, before));
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto request = std::make_shared<QuantizeRequest>();
  auto json = std::make_shared<bool>(false);
  auto megabytes = std::make_shared<int64_t>(512);
  CLI::App* verb = add_verb(app, "quantize", "Write a model with its matrices in 12, 8 or 4 bits, for any verb to use",
                            "nuri quantize emoji-world -o emoji-world-int4 --weights int4");
  verb->add_option("MODEL", request->model, "A model folder, or the name of a bundled model")->required();
  verb->add_option("-o,--output", request->output, "The folder that is made; what an interrupted run wrote is used")
      ->required();
  verb->add_option("--weights", request->weights, "int8, int4, or bf12: bfloat16 in 12 bits, the same numbers")
      ->required();
  verb->add_option("--calibrate", request->calibrate,
                   "Texts of the kind that the model will read (UTF-8; or .jsonl, each line {\"messages\": [...], "
                   "\"images\": [files]}): 4 bits are chosen by what they do to them");
  verb->add_option("--method", request->method,
                   "rtn (to the nearest; without --calibrate), gptq (with it) or awq (with it)");
  verb->add_option("--keep", request->keep,
                   "PATTERN=bf16: matrices of such names ('*' fits anything) stay as they are in the file; "
                   "PATTERN=int8: have 8 bits; may be given several times, the first that fits counts")
      ->allow_extra_args(false);
  verb->add_option("--shard-size", *megabytes, "MiB of one file of weights, and of memory that is used")
      ->check(at_least(1))
      ->capture_default_str();
  verb->add_option("--threads", request->threads, "Threads; all cores when not given")->check(at_least(1));
  verb->add_flag("--json", *json, "One JSON object in place of the line");
  verb->callback([=] {
    constexpr int64_t kMost = int64_t{1} << 40;
    request->shard_bytes = std::min(*megabytes, kMost) << 20;
    tell(*request, quantize(*request), *json);
  });
}

}  // namespace nuri::cli
