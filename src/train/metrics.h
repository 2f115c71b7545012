#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/config_reader.h"

namespace nuri {

// metrics.jsonl: one JSON object a line, each with "step". A resumed run first drops what lies behind the
// checkpoint, a half-written last line too.
class Metrics {
 public:
  Metrics(std::filesystem::path file, int64_t resumed_step);
  void add(const Json& line);
  const std::vector<Json>& lines() const { return lines_; }

 private:
  std::filesystem::path file_;
  std::ofstream stream_;
  std::vector<Json> lines_;
};

// The losses as an SVG: each value as a faint line, its running mean as a strong one.
std::string plot_losses(const std::vector<Json>& lines, const std::string& title);

}  // namespace nuri
