#pragma once

#include <string_view>
#include <vector>

#include "text/component.h"
#include "text/pre_tokenizers.h"
#include "text/regex.h"

namespace nuri {

// What becomes of the delimiters when a text is split, "the-final--countdown" at "-" for example:
//   removed               the, final, countdown
//   isolated              the, -, final, -, -, countdown
//   merged_with_previous  the-, final-, -, countdown
//   merged_with_next      the, -final, -, -countdown
//   contiguous            the, -, final, --, countdown
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

SplitBehavior read_split_behavior(const Component& component, std::string_view key);
void split_text(const AlignedText& text, std::vector<Span> spans, SplitBehavior behavior, std::vector<Piece>& out);

// Spans of single characters for which `delimiter` holds, and of what lies between.
template <class Delimiter>
std::vector<Span> find_chars(std::string_view text, Delimiter&& delimiter) {
  std::vector<Span> spans;
  size_t last = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    if (!delimiter(next_code_point(text, at))) continue;
    if (last < start) spans.push_back({last, start, false});
    spans.push_back({start, at, true});
    last = at;
  }
  if (last < text.size()) spans.push_back({last, text.size(), false});
  return spans;
}

}  // namespace nuri
