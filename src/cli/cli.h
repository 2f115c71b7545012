#pragma once

#include <CLI/CLI.hpp>

#include "base/config_reader.h"
#include "base/error.h"
#include "tasks/common.h"

namespace nuri::cli {

// A verb adds itself with its flags, and what it does when it is chosen.
void add_ask(CLI::App& app);
void add_chat(CLI::App& app);
void add_forward(CLI::App& app);
void add_preprocess(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_inspect(CLI::App& app);
void add_bench(CLI::App& app);
void add_compare(CLI::App& app);
void add_match(CLI::App& app);
void add_ground(CLI::App& app);
void add_embed(CLI::App& app);
void add_index(CLI::App& app);
void add_search(CLI::App& app);
void add_train(CLI::App& app);
void add_eval(CLI::App& app);
void add_quantize(CLI::App& app);

// A subcommand with its description and an example that works.
CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& description, const std::string& example);

// MODEL, --device, --dtype, --weights, --threads.
void add_model_flags(CLI::App* verb, ModelOptions& options);
// Of verbs that generate text: --cache; of those that hold a conversation, --context too.
void add_cache_flag(CLI::App* verb, ModelOptions& options);
void add_context_flag(CLI::App* verb, ModelOptions& options);
// --greedy, --temperature, --top-p, --top-k, --min-p, penalties, --max-tokens, --stop, --seed.
void add_generation_flags(CLI::App* verb, GenerationOptions& options);
void add_max_pixels(CLI::App* verb, PictureLimits& limits);
// -v, --fps, --frames and the bounds on videos.
void add_videos(CLI::App* verb, std::vector<std::string>& videos, VideoOptions& options);

// Standard output takes no more.
class OutputError : public Error {
 public:
  explicit OutputError(const std::string& reason);
};

// [{"label", "box": [x1, y1, x2, y2]}]
Json boxes_json(const std::vector<PictureBox>& boxes);
// One JSON object on standard output.
void print_json(const Json& object);
// Throws OutputError.
void print(std::string_view text);

// Reads, runs and reports: the whole program -> exit code.
int run(int count, char** arguments);

}  // namespace nuri::cli
