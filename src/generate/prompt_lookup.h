#pragma once

#include <map>

#include "generate/proposer.h"

namespace nuri {

// Prompt lookup (Saxena 2023): proposes what followed when the text last ended as it does now. The longest end that was
// there before counts, of equals the latest; the second path is what followed another time. Kinds are the lengths of
// that end: 1, 2, 3 or 4, more. Neither ends nor proposals hold a picture's row.
class PromptLookup : public Proposer {
 public:
  Prospect look(const Unfinished& sequence) override;
  std::vector<std::vector<Path>> propose(std::span<const Unfinished> sequences) override;
  void forget(int64_t handle) override { found_.erase(handle); }

 private:
  std::map<int64_t, std::vector<Path>> found_;  // by the last look
};

}  // namespace nuri
