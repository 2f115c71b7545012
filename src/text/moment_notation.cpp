#include "text/moment_notation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "text/flat_object.h"

namespace nuri {
namespace {

constexpr double kLatest = 1e7;
constexpr size_t kLongestNumber = 24;

bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }
bool is_latin_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads words and times of a text, one after the other; each step back is undone by setting `at`.
class TimeReader {
 public:
  TimeReader(std::string_view text, size_t begin) : at(begin), text_(text) {}

  struct Time {
    double value;
    bool clock, seconds;  // mm:ss, or with a unit; else a number alone
  };

  void skip_blanks() {
    while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) ++at;
  }

  // Whether one of the words stands here, in any case; then it is passed. Letters must not go on behind a word.
  bool take(std::initializer_list<std::string_view> words) {
    for (std::string_view word : words) {
      if (text_.size() - at < word.size()) continue;
      bool same = std::equal(word.begin(), word.end(), text_.begin() + static_cast<std::ptrdiff_t>(at),
                             [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
      if (!same) continue;
      size_t end = at + word.size();
      if (is_latin_letter(word.back()) && end < text_.size() && is_latin_letter(text_[end])) continue;
      at = end;
      return true;
    }
    return false;
  }

  std::optional<Time> time() {
    size_t begin = at;
    auto first = digits(9);
    if (!first) return std::nullopt;
    Time found{*first, false, false};
    for (int colons = 0; colons < 2 && at + 2 < text_.size() && text_[at] == ':' && is_decimal_digit(text_[at + 1]);
         ++colons) {
      if (!is_decimal_digit(text_[at + 2]) || (at + 3 < text_.size() && is_decimal_digit(text_[at + 3]))) break;
      found.value = 60 * found.value + 10 * (text_[at + 1] - '0') + (text_[at + 2] - '0');
      found.clock = true;
      at += 3;
    }
    if (at + 1 < text_.size() && text_[at] == '.' && is_decimal_digit(text_[at + 1])) {
      size_t dot = at++;
      while (at < text_.size() && is_decimal_digit(text_[at])) ++at;
      double part = 0;
      std::from_chars(text_.data() + dot, text_.data() + std::min(at, dot + kLongestNumber), part);
      found.value += part;
    }
    size_t behind = at;
    skip_blanks();
    found.seconds = take({"seconds", "second", "secs", "sec", "s", "초"});
    if (!found.seconds) at = behind;
    if (found.value > kLatest || (at < text_.size() && text_[at] == '%')) {
      at = begin;
      return std::nullopt;
    }
    return found;
  }

  // What stands between the two times of a stretch; `and` only behind a "between".
  bool connector(bool between) {
    skip_blanks();
    bool found = take({"-", "–", "—", "~", "to", "until", "till", "부터", "에서"}) || (between && take({"and"}));
    skip_blanks();
    return found;
  }

  size_t at;

 private:
  std::optional<double> digits(size_t most) {
    size_t begin = at;
    while (at < text_.size() && is_decimal_digit(text_[at])) ++at;
    double value = 0;
    if (at == begin || at - begin > most) return std::nullopt;
    std::from_chars(text_.data() + begin, text_.data() + at, value);
    return value;
  }

  std::string_view text_;
};

bool is_stretch(double start, double end) {
  return std::isfinite(start) && std::isfinite(end) && start >= 0 && start <= end && end <= kLatest;
}

// The last word in front of `at` on its line, in small letters; marks between are passed.
std::string word_before(std::string_view text, size_t at) {
  constexpr size_t kLongest = 12;
  size_t end = at;
  while (end > 0 && at - end < 4 && (text[end - 1] == ' ' || text[end - 1] == '-' || text[end - 1] == '#')) --end;
  size_t begin = end;
  while (begin > 0 && end - begin < kLongest && is_latin_letter(text[begin - 1])) --begin;
  std::string word(text.substr(begin, end - begin));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return word;
}

// ---- JSON

using Parsed = nlohmann::json;

const Parsed* value_of(const Parsed& object, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (auto found = object.find(name); found != object.end()) return &*found;
  return nullptr;
}

// A number of seconds, or a text that is a time.
std::optional<double> seconds_of(const Parsed* value) {
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->get<double>();
  if (!value->is_string()) return std::nullopt;
  const auto& text = value->get_ref<const std::string&>();
  TimeReader reader(text, 0);
  reader.skip_blanks();
  auto time = reader.time();
  reader.skip_blanks();
  if (!time || reader.at != text.size()) return std::nullopt;
  return time->value;
}

// One time, two in a list, or "0:03 - 0:05".
std::optional<std::pair<double, double>> stretch_of(const Parsed& value) {
  if (auto one = seconds_of(&value)) return std::pair(*one, *one);
  if (value.is_array() && value.size() == 2) {
    auto start = seconds_of(&value[0]), end = seconds_of(&value[1]);
    if (start && end) return std::pair(*start, *end);
  }
  if (!value.is_string()) return std::nullopt;
  TimeReader reader(value.get_ref<const std::string&>(), 0);
  reader.skip_blanks();
  auto start = reader.time();
  if (!start || !reader.connector(false)) return std::nullopt;
  auto end = reader.time();
  if (!end) return std::nullopt;
  return std::pair(start->value, end->value);
}

std::optional<Moment> moment_of(const Parsed& object) {
  if (!object.is_object()) return std::nullopt;
  Moment moment;
  auto two = [&](Moment::Unit unit, const Parsed* first, const Parsed* last) {
    auto start = seconds_of(first), end = seconds_of(last);
    if (!start || !end) return false;
    moment.unit = unit, moment.start = *start, moment.end = *end;
    return true;
  };
  const Parsed* both =
      value_of(object, {"timestamp", "timestamps", "time", "segment", "interval", "time_range", "frame"});
  bool found =
      two(Moment::Unit::seconds, value_of(object, {"start_time", "start", "start_timestamp", "begin", "start_s"}),
          value_of(object, {"end_time", "end", "end_timestamp", "stop", "end_s"})) ||
      two(Moment::Unit::frames, value_of(object, {"start_frame", "first_frame"}),
          value_of(object, {"end_frame", "last_frame"}));
  if (!found && both != nullptr)
    if (auto stretch = stretch_of(*both)) {
      std::tie(moment.start, moment.end) = *stretch;
      if (object.contains("frame") && both == &object["frame"]) moment.unit = Moment::Unit::frames;
      found = true;
    }
  if (!found || !is_stretch(moment.start, moment.end)) return std::nullopt;
  const Parsed* label = value_of(object, {"label", "description", "event", "activity", "caption", "sentence", "action",
                                          "content", "text", "name"});
  if (label != nullptr && label->is_string()) moment.label = label->get<std::string>();
  return moment;
}

// ---- text

class MomentScanner {
 public:
  explicit MomentScanner(std::string_view text) : text_(text) {}

  std::vector<Moment> run() {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\n') {
        line_ = ++at_;
      } else if (c == '{') {
        object();
      } else if (is_decimal_digit(c)) {
        number();
      } else {
        ++at_;
      }
    }
    return std::move(moments_);
  }

 private:
  void object() {
    size_t next = at_ + 1;
    if (auto end = end_of_flat_object(text_, at_, next))
      if (auto moment = moment_of(Parsed::parse(text_.substr(at_, *end - at_), nullptr, false))) {
        moments_.push_back(std::move(*moment));
        next = *end;
      }
    at_ = line_ = next;
  }

  // Passes a number, with the moment that it begins.
  void number() {
    size_t begin = at_;
    char left = begin > 0 ? text_[begin - 1] : ' ';
    bool inside = left == '.' || left == ':' || (is_latin_letter(left) && word_before(text_, begin) != "frame");
    if (!inside && moment(begin)) return;
    while (at_ < text_.size() && (is_decimal_digit(text_[at_]) || text_[at_] == ':')) ++at_;
  }

  bool moment(size_t begin) {
    std::string before = word_before(text_, begin);
    bool frames = before == "frame" || before == "frames";
    bool told = text_.substr(0, begin).ends_with("<answer>");
    TimeReader reader(text_, begin);
    auto first = reader.time();
    if (!first) return false;
    size_t end = reader.at;
    std::optional<TimeReader::Time> second;
    if (reader.connector(before == "between")) {
      if (frames) reader.take({"frame"}), reader.skip_blanks();
      second = reader.time();
    }
    auto timed = [](const TimeReader::Time& time) { return time.clock || time.seconds; };
    if (second &&
        (frames ? !timed(*first) && !timed(*second) : told || timed(*second) || (first->seconds && !first->clock)))
      end = reader.at;
    else
      second.reset();
    bool alone =
        frames ? !timed(*first) : first->clock || (first->seconds && (before == "at" || before == "timestamp"));
    if (!second && !alone) return false;
    double last = second ? second->value : first->value;
    if (!is_stretch(first->value, last)) return false;
    moments_.push_back({frames ? Moment::Unit::frames : Moment::Unit::seconds, label(begin, end), first->value, last});
    at_ = line_ = end;
    return true;
  }

  // What stands behind a moment that begins its line, or else in front of one that ends it.
  std::string label(size_t begin, size_t end) const {
    constexpr std::string_view kMarks = " \t\r.,:;-*#()[]<>|\"'`~=";
    constexpr size_t kNear = 24;
    auto trimmed = [&](std::string_view part) {
      size_t from = part.find_first_not_of(kMarks), to = part.find_last_not_of(kMarks);
      return from == std::string_view::npos ? std::string() : std::string(part.substr(from, to - from + 1));
    };
    std::string_view before = text_.substr(line_, begin - line_);
    if (before.size() <= kNear) {
      std::string opening = trimmed(before);
      bool bullet = std::all_of(opening.begin(), opening.end(), is_decimal_digit);
      for (std::string_view word : {"From", "from", "Between", "between", "At", "at", "Frame", "frame", "Frames",
                                    "frames", "From frame", "from frame", "At frame", "at frame"})
        bullet = bullet || opening == word;
      if (bullet && (line_ == 0 || text_[line_ - 1] == '\n'))
        return trimmed(text_.substr(end, std::min(text_.find('\n', end), text_.size()) - end));
    }
    size_t next = text_.find_first_not_of(kMarks, end);
    if (next != std::string_view::npos && text_[next] != '\n') return {};
    std::string label = trimmed(before);
    for (std::string_view word : {" frame", " frames", " from", " between", " at", " in", " during"})
      if (label.ends_with(word)) label = trimmed(std::string_view(label).substr(0, label.size() - word.size()));
    return label;
  }

  std::string_view text_;
  size_t at_ = 0, line_ = 0;  // `line_`: where the line begins, or what follows the last moment on it
  std::vector<Moment> moments_;
};

}  // namespace

std::vector<Moment> parse_moments(std::string_view text) { return MomentScanner(text).run(); }

}  // namespace nuri
