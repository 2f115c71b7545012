#include "generate/stop_strings.h"

#include <algorithm>
#include <utility>

namespace nuri {

StopStrings::StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) { std::erase(stops_, ""); }

std::optional<size_t> StopStrings::first_match() const {
  std::optional<std::pair<size_t, size_t>> first;  // end, beginning
  for (const auto& stop : stops_) {
    size_t place = pending_.find(stop);
    if (place == std::string::npos) continue;
    std::pair found{place + stop.size(), place};
    first = first ? std::min(*first, found) : found;
  }
  return first ? std::optional(first->second) : std::nullopt;
}

// The longest end of what is pending that begins a stop string.
size_t StopStrings::held_length() const {
  size_t held = 0;
  for (const auto& stop : stops_)
    for (size_t length = std::min(stop.size() - 1, pending_.size()); length > held; --length)
      if (pending_.ends_with(std::string_view(stop).substr(0, length))) held = length;
  return held;
}

std::string StopStrings::push(std::string_view piece) {
  if (matched_) return {};
  pending_ += piece;
  if (auto place = first_match()) {
    matched_ = true;
    pending_.resize(*place);
    return std::exchange(pending_, {});
  }
  size_t sure = pending_.size() - held_length();
  std::string out = pending_.substr(0, sure);
  pending_.erase(0, sure);
  return out;
}

std::string StopStrings::finish() { return std::exchange(pending_, {}); }

}  // namespace nuri
