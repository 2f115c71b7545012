#include "train/objectives/query_texts.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {
namespace {

int64_t special_id(const Tokenizer& tokenizer, const char* token, const std::filesystem::path& folder) {
  auto id = tokenizer.id_of(token);
  if (!id)
    throw Error(ErrorKind::usage, fmt::format("{}: found no token {}, expected it among special_tokens",
                                              (folder / "tokenizer.json").string(), token));
  return *id;
}

}  // namespace

QueryTexts::QueryTexts(const std::filesystem::path& folder)
    : tokenizer_(Tokenizer::from_folder(folder)),
      whole_(special_id(tokenizer_, "[CLS]", folder)),
      told_(special_id(tokenizer_, "[DEC]", folder)),
      end_(special_id(tokenizer_, "[SEP]", folder)) {}

QueryReader::Text QueryTexts::operator()(std::span<const std::string> texts, Begin begin) const {
  std::vector<std::vector<int64_t>> rows;
  size_t longest = 0;
  for (const std::string& text : texts) {
    auto& row = rows.emplace_back(1, begin_of(begin));
    for (int32_t id : tokenizer_.encode(text, false)) row.push_back(id);
    row.push_back(end_);
    longest = std::max(longest, row.size());
  }
  auto count = static_cast<int64_t>(rows.size()), length = static_cast<int64_t>(longest);
  QueryReader::Text made{at::full({count, length}, end_, at::kLong), at::zeros({count, length}, at::kBool)};
  for (int64_t i = 0; i < count; ++i) {
    const auto& row = rows[static_cast<size_t>(i)];
    auto used = static_cast<int64_t>(row.size());
    made.ids[i].narrow(0, 0, used).copy_(at::tensor(row, at::kLong));
    made.mask[i].narrow(0, 0, used).fill_(true);
  }
  return made;
}

}  // namespace nuri
