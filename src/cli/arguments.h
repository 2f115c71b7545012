#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

#include "base/config_reader.h"
#include "tasks/speculate.h"

namespace nuri::cli {

// Whole numbers from `least` on, with a message that says what was found.
CLI::Validator at_least(int64_t least);

// Adds -i, which takes one picture or several: `-i a.png -i b.png` and `-i a.png b.png` are the same, wherever the
// verb's positional arguments (`positionals`, all required single texts, already added in this order) stand.
// -> what the verb calls first once the command line is parsed.
std::function<void()> add_pictures(CLI::App* verb, std::vector<std::string>& pictures,
                                   std::vector<std::string*> positionals, const std::string& description);

// --speculate, --draft.
void add_speculation_flags(CLI::App* verb, SpeculationOptions& options);
// {"steps", "proposed", "accepted", "accepted_per_step"}
Json speculation_json(const SpeculationCounts& counts);

}  // namespace nuri::cli
