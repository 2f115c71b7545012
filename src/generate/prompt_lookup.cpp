#include "generate/prompt_lookup.h"

#include <algorithm>

namespace nuri {
namespace {

constexpr int64_t kLongestEnd = 16;  // compared

struct Match {
  int64_t length = 0;  // of the end that was found
  int64_t next = 0;    // where its continuation begins
};

// Where the text last ended as it does now, and did not go on with `other`.
Match find(std::span<const int64_t> ids, int64_t other) {
  Match best;
  auto last = static_cast<int64_t>(ids.size()) - 1;
  if (last < 0 || ids[last] == kNoToken) return best;
  for (int64_t end = last - 1; end >= 0 && best.length < kLongestEnd; --end) {
    if (ids[end] != ids[last] || ids[end + 1] == kNoToken || ids[end + 1] == other) continue;
    int64_t same = 1, most = std::min(kLongestEnd, end + 1);
    while (same < most && ids[end - same] == ids[last - same] && ids[end - same] != kNoToken) ++same;
    if (same > best.length) best = {same, end + 1};
  }
  return best;
}

// What stands there; where the text ends it goes on as it did from there, over and over.
Path continuation(std::span<const int64_t> ids, int64_t next, int64_t most) {
  Path path;
  auto known = static_cast<int64_t>(ids.size()) - next;
  for (int64_t i = 0; i < most && ids[next + i % known] != kNoToken; ++i) path.push_back(ids[next + i % known]);
  return path;
}

size_t kind_of(int64_t length) { return length >= 5 ? 3 : length >= 3 ? 2 : static_cast<size_t>(length - 1); }

}  // namespace

Prospect PromptLookup::look(const Unfinished& sequence) {
  auto& paths = found_[sequence.handle];
  paths.clear();
  Match match = find(sequence.ids, kNoToken);
  if (match.length == 0) return {};
  paths.push_back(continuation(sequence.ids, match.next, sequence.most));
  Prospect prospect{kind_of(match.length), static_cast<int64_t>(paths[0].size())};
  if (Match other = find(sequence.ids, sequence.ids[match.next]); other.length > 0) {
    paths.push_back(continuation(sequence.ids, other.next, sequence.most));
    prospect.branch = static_cast<int64_t>(paths[1].size());
  }
  return prospect;
}

std::vector<std::vector<Path>> PromptLookup::propose(std::span<const Unfinished> sequences) {
  std::vector<std::vector<Path>> proposed;
  for (const Unfinished& sequence : sequences) {
    auto& paths = proposed.emplace_back();
    auto found = found_.find(sequence.handle);
    if (sequence.length < 1 || found == found_.end()) continue;
    paths = found->second;
    if (sequence.branch < 1 && paths.size() > 1) paths.pop_back();
    for (size_t i = 0; i < paths.size(); ++i) {
      auto most = static_cast<size_t>(i == 0 ? sequence.length : sequence.branch);
      paths[i].resize(std::min(paths[i].size(), most));
    }
  }
  return proposed;
}

}  // namespace nuri
