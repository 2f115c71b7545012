#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/unicode.h"

namespace nuri {

// A piece of the input while it is normalized and split. When asked to, it remembers for each of its bytes where in
// the input it came from, by the rules of the reference's NormalizedString; only Metaspace with prepend_scheme
// "first" needs that.
class AlignedText {
 public:
  AlignedText(std::string text, bool tracked);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  // True when the piece starts where the input starts.
  bool at_start() const { return shift_ == 0; }

  AlignedText slice(size_t begin, size_t end) const;

  // Replaces the text by `edits`, after its first `dropped` characters were dropped. The edits must account
  // for all characters of the text. Throws Error(resource) when the text grows without measure, as do the others.
  void transform(std::span<const CharEdit> edits, size_t dropped = 0);
  void keep_if(const std::function<bool(char32_t)>& keep);
  void map(const std::function<char32_t(char32_t)>& change);
  void prepend(std::string_view text);
  void replace(const Pattern& pattern, std::string_view content);
  void strip(bool left, bool right);

 private:
  AlignedText() = default;

  void check_size(size_t size) const;

  std::string text_;
  std::vector<uint32_t> origins_;  // of each byte, relative to shift_; empty when untracked
  size_t shift_ = 0;               // where the piece starts in the input
  size_t limit_ = 0;               // bytes that the text may grow to
  bool tracked_ = false;
};

}  // namespace nuri
