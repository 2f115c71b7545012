#include "tasks/compare_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>

#include "base/config_reader.h"
#include "base/error.h"
#include "base/file.h"

namespace nuri {
namespace {

// Calls `read(value, where)` for each line that is not empty; `where` is "FILE:NUMBER".
void for_each_line(const std::string& file, const std::function<void(const Json&, const std::string&)>& read) {
  std::string all = read_file(file);
  size_t number = 1, lines = 0;
  for (size_t begin = 0; begin < all.size(); ++number) {
    size_t end = std::min(all.find('\n', begin), all.size());
    std::string_view line = std::string_view(all).substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::string where = fmt::format("{}:{}", file, number);
    read(parse_json(line, where), where);
    ++lines;
  }
  if (lines == 0) throw Error(ErrorKind::format, fmt::format("{}: found no line, expected at least one", file));
}

}  // namespace

std::vector<std::vector<int64_t>> read_id_lines(const std::string& file) {
  std::vector<std::vector<int64_t>> sequences;
  for_each_line(file, [&](const Json& value, const std::string& where) {
    const Json* list = &value;
    if (value.is_object() && value.contains("ids")) list = &value["ids"];
    auto refuse = [&] {
      throw Error(ErrorKind::format,
                  fmt::format("{}: found {}, expected token ids as [1, 2, 3] or {{\"ids\": [1, 2, 3]}}", where,
                              shown_text(value.dump(-1, ' ', true), 60)));
    };
    if (!list->is_array()) refuse();
    std::vector<int64_t>& ids = sequences.emplace_back();
    for (const Json& id : *list) {
      if (!id.is_number_integer() || id.get<int64_t>() < 0) refuse();
      ids.push_back(id.get<int64_t>());
    }
  });
  return sequences;
}

std::vector<AskedQuestion> read_question_lines(const std::string& file, const std::string& group_by) {
  std::vector<AskedQuestion> questions;
  std::filesystem::path folder = std::filesystem::path(file).parent_path();
  for_each_line(file, [&](const Json& value, const std::string& where) {
    ConfigReader line(value, where);
    AskedQuestion asked;
    asked.question = line.required<std::string>("question");
    std::vector<std::string> names;
    if (line.has("pictures"))
      names = line.required<std::vector<std::string>>("pictures");
    else if (line.has("picture"))
      names = {line.required<std::string>("picture")};
    for (const std::string& name : names) asked.pictures.push_back((folder / name).string());
    asked.expected = line.maybe<std::string>("expected");
    if (asked.expected && asked.expected->empty()) line.reject("expected", "a text, or no such key");
    if (!group_by.empty()) asked.group = line.required<std::string>(group_by);
    questions.push_back(std::move(asked));
  });
  return questions;
}

}  // namespace nuri
