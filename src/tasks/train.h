#pragma once

#include <string>

namespace nuri {

struct TrainRequest {
  std::string recipe;  // a TOML file
  int threads = 0;     // 0: all cores
};

// Trains what the recipe says, or goes on where an earlier run stopped. Progress goes to the report sink.
void train(const TrainRequest& request);

}  // namespace nuri
