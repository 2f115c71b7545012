#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

namespace nuri::cli {

// Whole numbers from `least` on, with a message that says what was found.
CLI::Validator at_least(int64_t least);

// Adds -i, which takes one picture or several: `-i a.png -i b.png` and `-i a.png b.png` are the same, wherever the
// verb's positional arguments (`positionals`, all required single texts, already added in this order) stand.
// -> what the verb calls first once the command line is parsed.
std::function<void()> add_pictures(CLI::App* verb, std::vector<std::string>& pictures,
                                   std::vector<std::string*> positionals, const std::string& description);

}  // namespace nuri::cli
