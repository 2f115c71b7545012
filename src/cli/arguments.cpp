#include "cli/arguments.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "base/error.h"

namespace nuri::cli {
namespace {

// A value that may be a picture or a positional argument.
struct Loose {
  std::string value;
  bool behind_picture;  // in a row that -i opened
};

// Values in the order of the command line.
struct Sorted {
  std::vector<std::string> pictures;
  std::vector<Loose> loose;
  std::vector<size_t> place;  // of each loose value: how many pictures came before it
};

Sorted in_order(const CLI::App& verb, const CLI::Option* flag) {
  Sorted sorted;
  std::map<const CLI::Option*, size_t> read;
  bool in_row = false;
  for (const CLI::Option* option : verb.parse_order()) {
    if (option == flag) {
      sorted.pictures.push_back(option->results().at(read[option]++));
      in_row = true;
    } else if (option->get_positional()) {
      sorted.loose.push_back({option->results().at(read[option]++), in_row});
      sorted.place.push_back(sorted.pictures.size());
    } else {
      in_row = false;
    }
  }
  return sorted;
}

// Which loose values are the positional arguments: first those that no -i stands in front of, then the last ones.
std::vector<bool> chosen(const std::vector<Loose>& loose, size_t wanted) {
  std::vector<bool> is_positional(loose.size(), false);
  for (size_t i = 0; i < loose.size() && wanted > 0; ++i)
    if (!loose[i].behind_picture) is_positional[i] = true, --wanted;
  for (size_t i = loose.size(); i-- > 0 && wanted > 0;)
    if (!is_positional[i]) is_positional[i] = true, --wanted;
  return is_positional;
}

}  // namespace

CLI::Validator at_least(int64_t least) {
  auto check = [least](std::string& text) -> std::string {
    int64_t value = 0;
    const char* last = text.data() + text.size();
    auto [end, error] = std::from_chars(text.data(), last, value);
    if (error == std::errc() && end == last && value >= least) return {};
    return fmt::format("found {}, expected a whole number of at least {}", text, least);
  };
  return CLI::Validator(check, fmt::format("at least {}", least));
}

std::function<void()> add_pictures(CLI::App* verb, std::vector<std::string>& pictures,
                                   std::vector<std::string*> positionals, const std::string& description) {
  CLI::Option* flag = verb->add_option("-i,--image", pictures, description + "; may be given several times")
                          ->expected(1)
                          ->allow_extra_args(false)
                          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  // Takes what stands behind the picture of an -i; not shown in the help.
  verb->add_option("PICTURES", "")->expected(1 << 20)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group("");
  return [verb, flag, &pictures, positionals] {
    Sorted sorted = in_order(*verb, flag);
    std::vector<bool> is_positional = chosen(sorted.loose, positionals.size());
    pictures.clear();
    size_t next = 0, taken = 0;
    for (size_t i = 0; i < sorted.loose.size(); ++i) {
      while (taken < sorted.place[i]) pictures.push_back(sorted.pictures[taken++]);
      const auto& [value, behind_picture] = sorted.loose[i];
      if (is_positional[i]) {
        *positionals[next++] = value;
      } else if (behind_picture) {
        pictures.push_back(value);
      } else {
        throw Error(ErrorKind::usage, fmt::format("found the further argument {}, expected it in quotes with what "
                                                  "stands before it, or -i in front of a picture",
                                                  value));
      }
    }
    pictures.insert(pictures.end(), sorted.pictures.begin() + static_cast<std::ptrdiff_t>(taken),
                    sorted.pictures.end());
  };
}

void add_speculation_flags(CLI::App* verb, SpeculationOptions& options) {
  verb->add_option("--speculate", options.speculate,
                   "lookup: several tokens a step, by what followed the same words before, where that pays; off, as "
                   "when not given. The answer is the same; --json tells how many were accepted");
  verb->add_option("--draft", options.draft,
                   "A smaller model with the same tokens that guesses the next ones; the answer is the same");
}

Json speculation_json(const SpeculationCounts& counts) {
  return {{"steps", counts.steps},
          {"proposed", counts.proposed},
          {"accepted", counts.accepted},
          {"accepted_per_step", counts.accepted_per_step()}};
}

}  // namespace nuri::cli
