#pragma once

#include <string_view>

namespace nuri {

enum class FinishReason {
  running,
  stop,         // the model closed its answer
  length,       // max_tokens, or the end of the context or of the cache
  stop_string,  // whoever reads the tokens wanted no more
  interrupted,  // cancelled
};
// "stop", "length", "stop_string", ...
std::string_view finish_name(FinishReason reason);

}  // namespace nuri
