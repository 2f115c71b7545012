#include <map>
#include <queue>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "base/error.h"
#include "train/emoji_world/tokenizer_training.h"

namespace nuri {
namespace {

using Pair = std::pair<int, int>;

struct Candidate {
  int64_t count;
  Pair pair;
  bool operator<(const Candidate& other) const {  // the queue's top is the greatest
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// Counts of neighbouring pairs over all words, kept up to date while pairs merge.
class PairCounts {
 public:
  explicit PairCounts(const std::vector<std::pair<std::string, int64_t>>& words) {
    for (const auto& [text, count] : words) {
      std::vector<int> ids;
      for (char c : text) ids.push_back(static_cast<unsigned char>(c));
      words_.push_back(std::move(ids));
      weights_.push_back(count);
      add(static_cast<int>(words_.size()) - 1, 1);
    }
    for (const auto& [pair, count] : counts_) queue_.push({count, pair});
  }

  // The pair that stands most often, twice at least.
  bool best(Pair& pair) {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      const int64_t now = counts_[top.pair];
      if (now == top.count) {
        pair = top.pair;
        return now >= 2;
      }
      queue_.pop();
      if (now > 0) queue_.push({now, top.pair});
    }
    return false;
  }

  void merge(Pair pair, int id) {
    const std::set<int> places = std::move(where_[pair]);
    where_.erase(pair);
    touched_.clear();
    for (int word : places) {
      add(word, -1);
      std::vector<int>& ids = words_[word];
      std::vector<int> merged;
      for (size_t i = 0; i < ids.size(); ++i) {
        const bool both = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
        merged.push_back(both ? id : ids[i]);
        i += both;
      }
      ids = std::move(merged);
      add(word, 1);
    }
    for (const Pair& changed : touched_) {
      if (counts_[changed] > 0) queue_.push({counts_[changed], changed});
    }
  }

 private:
  void add(int word, int sign) {
    const std::vector<int>& ids = words_[word];
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Pair pair{ids[i], ids[i + 1]};
      counts_[pair] += sign * weights_[word];
      if (sign > 0) where_[pair].insert(word);
      touched_.insert(pair);
    }
  }

  std::vector<std::vector<int>> words_;
  std::vector<int64_t> weights_;
  std::map<Pair, int64_t> counts_;
  std::map<Pair, std::set<int>> where_;
  std::set<Pair> touched_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

BytePairs learn_byte_pairs(const std::vector<std::pair<std::string, int64_t>>& words, int size) {
  if (size < 256) throw Error(ErrorKind::usage, fmt::format("vocabulary: found {}, expected 256 or more", size));
  BytePairs pairs;
  for (int byte = 0; byte < 256; ++byte) pairs.tokens.push_back(std::string(1, static_cast<char>(byte)));
  std::unordered_map<std::string, int> ids;
  for (int byte = 0; byte < 256; ++byte) ids[pairs.tokens[byte]] = byte;
  PairCounts counts(words);
  Pair best;
  while (static_cast<int>(pairs.tokens.size()) < size && counts.best(best)) {
    // Two pairs may spell the same token: ab+c and a+bc.
    const std::string token = pairs.tokens[best.first] + pairs.tokens[best.second];
    const auto [found, is_new] = ids.emplace(token, static_cast<int>(pairs.tokens.size()));
    if (is_new) pairs.tokens.push_back(token);
    counts.merge(best, found->second);
    pairs.merges.push_back(best);
  }
  return pairs;
}

}  // namespace nuri
