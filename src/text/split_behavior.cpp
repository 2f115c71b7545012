#include "text/split_behavior.h"

#include <algorithm>

namespace nuri {
namespace {

// Joins runs of spans with the same flag. The reference starts as if a span that is no match came before,
// which has nothing to be joined with.
std::vector<Span> join_contiguous(const std::vector<Span>& spans) {
  std::vector<Span> out;
  bool previous = false;
  for (const Span& span : spans) {
    if (span.match == previous && !out.empty())
      out.back().end = span.end;
    else
      out.push_back(span);
    previous = span.match;
  }
  return out;
}

std::vector<Span> join_previous(const std::vector<Span>& spans) {
  std::vector<Span> out;
  bool previous = false;
  for (const Span& span : spans) {
    if (span.match && !previous && !out.empty())
      out.back().end = span.end;
    else
      out.push_back(span);
    previous = span.match;
  }
  return out;
}

std::vector<Span> join_next(const std::vector<Span>& spans) {
  std::vector<Span> out;
  bool previous = false;
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    if (span->match && !previous && !out.empty())
      out.back().begin = span->begin;
    else
      out.push_back(*span);
    previous = span->match;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

SplitBehavior read_split_behavior(const Component& component, std::string_view key) {
  const std::string name = component.string(key);
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  component.reject(key, "one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

void split_text(const AlignedText& text, std::vector<Span> spans, SplitBehavior behavior, std::vector<Piece>& out) {
  if (behavior == SplitBehavior::contiguous) spans = join_contiguous(spans);
  if (behavior == SplitBehavior::merged_with_previous) spans = join_previous(spans);
  if (behavior == SplitBehavior::merged_with_next) spans = join_next(spans);
  for (const Span& span : spans) {
    if (span.match && behavior == SplitBehavior::removed) continue;
    if (span.begin < span.end) out.push_back({text.slice(span.begin, span.end), {}});
  }
}

}  // namespace nuri
