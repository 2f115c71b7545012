#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nuri {

// Ends a text, which comes in pieces, before the first of some strings to be complete, the longest of those complete
// at once. What could still become one of them is held back until it no longer can.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops);

  // Takes the next piece of text -> what is now sure to stay. After a match: always empty.
  std::string push(std::string_view piece);
  // The text is over -> what was held back.
  std::string finish();
  bool matched() const { return matched_; }

 private:
  std::optional<size_t> first_match() const;  // where it begins
  size_t held_length() const;

  std::vector<std::string> stops_;
  std::string pending_;
  bool matched_ = false;
};

}  // namespace nuri
