#include "text/place_notation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "text/flat_object.h"

namespace nuri {
namespace {

constexpr double kLargestCoordinate = 1e7;

using Numbers = std::array<double, 4>;

bool is_box(const Numbers& n) {
  for (double value : n)
    if (!(std::abs(value) <= kLargestCoordinate)) return false;
  return n[0] <= n[2] && n[1] <= n[3];
}

// What stands in front of the next place, and where the scan has come to.
class Scanner {
 public:
  Scanner(std::string_view text, Place::Unit json_unit) : text_(text), json_unit_(json_unit) {}

  std::vector<Place> run() {
    for (at_ = text_.find_first_of("{[<"); at_ != std::string_view::npos; at_ = text_.find_first_of("{[<", at_)) {
      size_t from = at_;
      if (text_[at_] == '{') {
        object();
      } else if (text_[at_] == '[') {
        bare_list();
      } else {
        tag();
      }
      if (at_ == from) ++at_;
    }
    return std::move(places_);
  }

 private:
  std::string_view rest() const { return text_.substr(at_, kLongestEntry); }

  // Whether `word` stands here; then it is passed.
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  void skip_blanks() {
    size_t next = text_.find_first_not_of(" \t\r\n", at_);
    at_ = next == std::string_view::npos ? text_.size() : next;
  }

  // One of `marks` between numbers, with blanks around it.
  bool mark(char wanted) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    skip_blanks();
    return true;
  }

  std::optional<double> number() {
    double value = 0;
    const char *begin = text_.data() + at_, *end = text_.data() + std::min(text_.size(), at_ + 64);
    auto [stop, error] = std::from_chars(begin, end, value);
    if (error != std::errc()) return std::nullopt;
    dotted_ = dotted_ || std::string_view(begin, stop).find('.') != std::string_view::npos;
    at_ += static_cast<size_t>(stop - begin);
    return value;
  }

  // Four numbers with `between` after the first, second and third.
  std::optional<Numbers> four(std::array<std::string_view, 3> between) {
    Numbers numbers;
    for (size_t i = 0; i < 4; ++i) {
      auto value = number();
      if (!value) return std::nullopt;
      numbers[i] = *value;
      if (i == 3) break;
      for (char c : between[i])
        if (!mark(c)) return std::nullopt;
    }
    return numbers;
  }

  void add(bool point, Place::Unit unit, const Numbers& n, std::string label) {
    places_.push_back({point, unit, std::move(label), n[0], n[1], n[2], n[3]});
  }

  // ---- JSON

  bool entry(std::string_view text) {
    auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return false;
    bool point = !json.contains("bbox_2d");
    if (point && !json.contains("point_2d")) return false;
    const auto& list = json[point ? "point_2d" : "bbox_2d"];
    size_t wanted = point ? 2 : 4;
    if (!list.is_array() || list.size() != wanted) return false;
    Numbers numbers{};
    for (size_t i = 0; i < wanted; ++i) {
      if (!list[i].is_number()) return false;
      numbers[i] = list[i].get<double>();
    }
    if (point) numbers[2] = numbers[0], numbers[3] = numbers[1];
    if (!is_box(numbers)) return false;
    std::string label = json.contains("label") && json["label"].is_string() ? json["label"].get<std::string>() : "";
    add(point, json_unit_, numbers, std::move(label));
    return true;
  }

  void object() {
    size_t next = at_ + 1;
    if (auto end = end_of_flat_object(text_, at_, next); end && entry(text_.substr(at_, *end - at_))) next = *end;
    at_ = next;
  }

  // ---- lists of shares

  void bare_list() {
    size_t from = at_;
    dotted_ = false;
    std::optional<Numbers> numbers;
    if (mark('[')) numbers = four({",", ",", ","});
    bool inside = numbers && std::ranges::all_of(*numbers, [](double x) { return x >= 0 && x <= 1; });
    if (inside && dotted_ && is_box(*numbers) && mark(']'))
      add(false, Place::Unit::shares, *numbers, "");
    else
      at_ = from + 1;
  }

  // ---- tags

  // The text up to `end`, which is passed.
  std::optional<std::string> label_until(std::string_view end) {
    size_t found = rest().find(end);
    if (found == std::string_view::npos) return std::nullopt;
    std::string label(rest().substr(0, found));
    at_ += found + end.size();
    return label;
  }

  void tag() {
    std::string label;
    for (auto [begin, end] : {std::pair("<|object_ref_start|>", "<|object_ref_end|>"), std::pair("<ref>", "</ref>")})
      if (take(begin)) {
        auto found = label_until(end);
        if (!found) return;
        label = *found;
        break;
      }
    for (bool more = true; more;) {  // one thing may have several boxes
      if (take("<|box_start|>"))
        more = pair_of_corners(label);
      else if (take("<box>"))
        more = list_of_boxes(label);
      else
        break;
    }
  }

  bool pair_of_corners(const std::string& label) {
    if (!mark('(')) return false;
    auto numbers = four({",", "),(", ","});
    if (!numbers || !mark(')') || !take("<|box_end|>")) return false;
    if (is_box(*numbers)) add(false, Place::Unit::thousandths, *numbers, label);
    return true;
  }

  bool list_of_boxes(const std::string& label) {
    if (!mark('[')) return false;
    do {
      if (!mark('[')) return false;
      auto numbers = four({",", ",", ","});
      if (!numbers || !mark(']')) return false;
      if (is_box(*numbers)) add(false, Place::Unit::thousandths, *numbers, label);
    } while (mark(','));
    return mark(']') && take("</box>");
  }

  std::string_view text_;
  Place::Unit json_unit_;
  size_t at_ = 0;
  bool dotted_ = false;  // whether a number since was written with a point
  std::vector<Place> places_;
};

}  // namespace

std::vector<Place> parse_places(std::string_view text, Place::Unit json_unit) { return Scanner(text, json_unit).run(); }

}  // namespace nuri
