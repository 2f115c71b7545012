#pragma once

// Not installed: part of compare.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nuri {

// A question about pictures, or about none.
struct AskedQuestion {
  std::string question;
  std::vector<std::string> pictures;
  std::optional<std::string> expected;
  std::string group;
};

// Sequences of token ids, one a line. Throws Error(format) that names file and line.
std::vector<std::vector<int64_t>> read_id_lines(const std::string& file);

// One question a line, see CompareRequest::question_files; `group_by`: the key of the line that becomes `group` (empty:
// none). Throws Error(format) that names file, line and key.
std::vector<AskedQuestion> read_question_lines(const std::string& file, const std::string& group_by);

}  // namespace nuri
