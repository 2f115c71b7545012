#include "text/flat_object.h"

#include <algorithm>

namespace nuri {

std::optional<size_t> end_of_flat_object(std::string_view text, size_t at, size_t& restart) {
  bool in_string = false;
  size_t last = std::min(text.size(), at + kLongestEntry);
  for (size_t i = at + 1; i < last; ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      restart = i;
      return std::nullopt;
    } else if (c == '}') {
      return i + 1;
    }
  }
  return std::nullopt;
}

}  // namespace nuri
