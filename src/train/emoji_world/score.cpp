#include "train/emoji_world/score.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

namespace nuri {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  while (!text.empty() && kSpace.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && kSpace.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

std::string plain(std::string_view text) {
  text = trim(text);
  while (!text.empty() && (text.back() == '.' || text.back() == '!')) text.remove_suffix(1);
  std::string lower(trim(text));
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> sorted_names(std::string_view text) {
  std::vector<std::string> names;
  const std::string list = plain(text);
  for (size_t start = 0; start <= list.size();) {
    const size_t comma = std::min(list.find(',', start), list.size());
    names.push_back(plain(std::string_view(list).substr(start, comma - start)));
    start = comma + 1;
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The only number in the text, in digits or as the text's one word.
std::optional<int> only_number(const std::string& text) {
  static constexpr std::string_view kWords[][2] = {
      {"zero", "없음"}, {"one", "하나"}, {"two", "둘"},     {"three", "셋"},   {"four", "넷"},
      {"five", "다섯"}, {"six", "여섯"}, {"seven", "일곱"}, {"eight", "여덟"}, {"nine", "아홉"}};
  for (int i = 0; i < 10; ++i) {
    if (text == kWords[i][0] || text == kWords[i][1]) return i;
  }
  std::optional<int> found;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') continue;
    if (found) return std::nullopt;
    int value = 0, digits = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
      if (++digits > 6) return std::nullopt;
      value = value * 10 + (text[i] - '0');
    }
    found = value;
  }
  return found;
}

bool says(const Turn& turn, const std::string& answer) {
  if (turn.language == Language::english) return answer == (turn.yes ? "yes" : "no");
  return turn.yes ? answer == "네" || answer == "예" : answer == "아니요" || answer == "아니오";
}

// How many of the expected boxes have one of their label in `found` with an IoU of at least 0.5; each serves once.
int matched_boxes(const std::vector<LabelledBox>& expected, std::vector<LabelledBox> found) {
  int matched = 0;
  for (const LabelledBox& box : expected) {
    auto best = found.end();
    double most = 0.5;
    for (auto it = found.begin(); it != found.end(); ++it) {
      const double iou = plain(it->label) == plain(box.label) ? box_iou(*it, box) : 0;
      if (iou >= most) best = it, most = iou;
    }
    if (best == found.end()) continue;
    found.erase(best);
    ++matched;
  }
  return matched;
}

std::vector<std::string> expected_names(const Turn& turn) {
  std::vector<std::string> names;
  for (const std::string& name : turn.names) names.push_back(plain(name));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

bool is_right(const Turn& turn, std::string_view answer) {
  const std::string said = plain(answer);
  switch (turn.task) {
    case Task::naming:
      return sorted_names(answer) == expected_names(turn);
    case Task::counting:
      return only_number(said) == turn.count;
    case Task::relations:
      return !turn.names.empty() && said == plain(turn.names[0]);
    case Task::yes_no:
      return says(turn, said);
    case Task::reading:
      return said == plain(turn.answer);
    case Task::boxes:
      return score_items(turn, answer).found == static_cast<int>(turn.boxes.size()) &&
             parse_boxes(answer).size() == turn.boxes.size();
    default:  // a list of boxes is no caption, whatever it names
      return parse_boxes(answer).empty() &&
             std::all_of(turn.names.begin(), turn.names.end(),
                         [&](const std::string& name) { return said.find(plain(name)) != std::string::npos; });
  }
}

ItemScore score_items(const Turn& turn, std::string_view answer) {
  if (turn.task == Task::boxes)
    return {matched_boxes(turn.boxes, parse_boxes(answer)), static_cast<int>(turn.boxes.size())};
  if (turn.task != Task::naming) return {};
  const std::vector<std::string> expected = expected_names(turn), said = sorted_names(answer);
  std::vector<std::string> both;
  std::set_intersection(expected.begin(), expected.end(), said.begin(), said.end(), std::back_inserter(both));
  return {static_cast<int>(both.size()), static_cast<int>(expected.size())};
}

double least_iou(const Turn& turn, std::string_view answer) {
  const std::vector<LabelledBox> found = parse_boxes(answer);
  double least = 1;
  for (const LabelledBox& box : turn.boxes) {
    double best = 0;
    for (const LabelledBox& other : found) best = std::max(best, box_iou(box, other));
    least = std::min(least, best);
  }
  return least;
}

}  // namespace nuri
