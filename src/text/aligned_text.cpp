#include "text/aligned_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {
namespace {

constexpr size_t kMaxInput = size_t{1} << 30;
// Normalizing may make a text longer by this factor, beyond which the file is thought to be hostile.
constexpr size_t kMaxGrowth = 32;
constexpr size_t kAlwaysAllowed = size_t{4} << 20;

}  // namespace

void AlignedText::check_size(size_t size) const {
  if (size > limit_)
    throw Error(ErrorKind::resource,
                fmt::format("tokenizer: found a text that grows beyond {} bytes while it is normalized or read, "
                            "expected less",
                            limit_));
}

AlignedText::AlignedText(std::string text, bool tracked)
    : text_(std::move(text)),
      limit_(std::min(kMaxInput, std::max(kAlwaysAllowed, kMaxGrowth * text_.size()))),
      tracked_(tracked) {
  check_size(text_.size());
  if (!tracked_) return;
  origins_.resize(text_.size());
  for (size_t i = 0, start = 0; i < text_.size(); ++i) {
    if ((text_[i] & 0xC0) != 0x80) start = i;
    origins_[i] = static_cast<uint32_t>(start);
  }
}

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  AlignedText part;
  part.text_ = text_.substr(begin, end - begin);
  part.tracked_ = tracked_;
  part.limit_ = limit_;
  if (!tracked_) return part;
  const uint32_t origin = begin < end ? origins_[begin] : static_cast<uint32_t>(begin);
  part.shift_ = shift_ + origin;
  part.origins_.assign(origins_.begin() + begin, origins_.begin() + end);
  for (uint32_t& o : part.origins_) o -= std::min(o, origin);
  return part;
}

void AlignedText::transform(std::span<const CharEdit> edits, size_t dropped) {
  std::string text;
  text.reserve(edits.size());
  if (!tracked_) {
    for (const CharEdit& edit : edits) append_utf8(text, edit.code);
    check_size(text.size());
    text_ = std::move(text);
    return;
  }
  std::vector<uint32_t> origins;
  origins.reserve(edits.size());
  size_t at = 0;  // in the old text
  const auto skip = [&](size_t count) {
    for (; count > 0 && at < text_.size(); --count) at += utf8_length(text_[at]);
  };
  skip(dropped);
  for (const CharEdit& edit : edits) {
    uint32_t origin = 0;
    if (!origins_.empty()) {
      if (edit.change > 0)
        origin = at == 0 ? 0 : origins_[std::min(at, origins_.size()) - 1];
      else
        origin = origins_[std::min(at, origins_.size() - 1)];
    }
    if (edit.change <= 0) skip(1 + static_cast<size_t>(-edit.change));
    append_utf8(text, edit.code);
    origins.resize(text.size(), origin);
  }
  check_size(text.size());
  text_ = std::move(text);
  origins_ = std::move(origins);
}

void AlignedText::keep_if(const std::function<bool(char32_t)>& keep) {
  std::vector<CharEdit> edits;
  edits.reserve(text_.size());
  size_t dropped = 0;
  bool changed = false;
  for (size_t at = 0; at < text_.size();) {
    const char32_t code = next_code_point(text_, at);
    if (keep(code)) {
      edits.push_back({code, 0});
      continue;
    }
    changed = true;
    if (edits.empty())
      ++dropped;
    else
      --edits.back().change;
  }
  if (changed) transform(edits, dropped);
}

void AlignedText::map(const std::function<char32_t(char32_t)>& change) {
  std::vector<CharEdit> edits;
  edits.reserve(text_.size());
  bool changed = false;
  for (size_t at = 0; at < text_.size();) {
    const char32_t code = next_code_point(text_, at);
    edits.push_back({change(code), 0});
    changed |= edits.back().code != code;
  }
  if (changed) transform(edits);
}

void AlignedText::prepend(std::string_view text) {
  if (text_.empty()) return;
  check_size(text_.size() + text.size());
  text_.insert(0, text);
  if (tracked_) origins_.insert(origins_.begin(), text.size(), origins_.front());
}

void AlignedText::replace(const Pattern& pattern, std::string_view content) {
  std::string text;
  std::vector<uint32_t> origins;
  pattern.visit(text_, [&](const Span& span) {
    if (!span.match) {
      text.append(text_, span.begin, span.end - span.begin);
      if (tracked_) origins.insert(origins.end(), origins_.begin() + span.begin, origins_.begin() + span.end);
    } else {
      text += content;
      if (tracked_) origins.resize(text.size(), span.end == 0 ? 0 : origins_[span.end - 1]);
    }
    check_size(text.size());
  });
  text_ = std::move(text);
  origins_ = std::move(origins);
}

void AlignedText::strip(bool left, bool right) {
  const std::u32string codes = to_code_points(text_);
  size_t begin = 0, end = codes.size();
  if (left)
    while (begin < end && is_white_space(codes[begin])) ++begin;
  if (right)
    while (end > begin && is_white_space(codes[end - 1])) --end;
  if (begin == 0 && end == codes.size()) return;
  std::vector<CharEdit> edits;
  for (size_t i = begin; i < end; ++i) edits.push_back({codes[i], 0});
  transform(edits, begin);
}

}  // namespace nuri
