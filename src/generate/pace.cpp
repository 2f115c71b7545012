#include "generate/pace.h"

#include <algorithm>
#include <cmath>

namespace nuri {

void StepClock::add(int64_t rows, double seconds) {
  constexpr double kKept = 0.95;  // of the weight of what was measured before
  constexpr double kOutlier = 4;  // times what was expected: something else held the machine
  constexpr double kTrusted = 3;  // measurements
  if (weight_ > kTrusted) seconds = std::min(seconds, kOutlier * expect(rows));
  auto r = static_cast<double>(rows);
  for (double* sum : {&weight_, &rows_, &squares_, &seconds_, &products_}) *sum *= kKept;
  weight_ += 1, rows_ += r, squares_ += r * r, seconds_ += seconds, products_ += r * seconds;
}

double StepClock::expect(int64_t rows) const {
  constexpr double kAssumedSlope = 0.04;  // of a row, of the mean; as much trusted as a variance of kAssumed
  constexpr double kAssumed = 0.25;
  if (weight_ == 0) return 1 + kAssumedSlope * static_cast<double>(rows);
  double row = rows_ / weight_, mean = seconds_ / weight_;
  double variance = std::max(squares_ / weight_ - row * row, 0.0), common = products_ / weight_ - row * mean;
  double slope = std::max((common + kAssumed * kAssumedSlope * mean) / (variance + kAssumed), 0.0);
  slope = std::min(slope, mean / row);  // a step without rows takes no less than nothing
  return mean + slope * (static_cast<double>(rows) - row);
}

void Share::add(double hits, double trials) {
  constexpr double kMost = 40;  // trials that are remembered
  double kept = std::min(1.0, kMost / (trials_ + trials));
  hits_ = kept * hits_ + hits;
  trials_ = kept * trials_ + trials;
}

// What one sequence may be given, and is given.
struct Pace::Choice {
  const Prospect* prospect;
  double accepted, branched;
  int64_t length = 0, branch = 0;

  // Tokens that one more on a path brings on the average.
  double gain_of_length() const { return std::pow(accepted, static_cast<double>(length + 1)); }
  double gain_of_branch() const { return (1 - accepted) * branched * std::pow(accepted, static_cast<double>(branch)); }
  // The second path begins with a row of its own for the last token.
  int64_t rows_of_branch() const { return branch == 0 ? 2 : 1; }
};

Pace::Kinds& Pace::kinds(int64_t handle) { return sequences_.try_emplace(handle, all_).first->second; }

// Adds the token that brings most for its rows, as long as that makes more tokens a second.
void Pace::lengthen(std::vector<Choice>& choices, double seconds_a_token) const {
  auto rows = static_cast<int64_t>(choices.size());
  auto tokens = static_cast<double>(rows);
  double seconds = clock_.expect(rows);
  for (int64_t longest = 0;;) {
    Choice* best = nullptr;
    bool on_branch = false;
    double best_gain = 0, best_cost = 0;
    int64_t best_rows = 1;
    auto consider = [&](Choice& choice, bool branch, double gain, int64_t more) {
      int64_t length = (branch ? choice.branch : choice.length) + 1;
      double cost = clock_.expect(rows + more) - clock_.expect(rows) + (length > longest ? seconds_a_token : 0);
      if (rows + more > kMostRows || gain * static_cast<double>(best_rows) <= best_gain * static_cast<double>(more))
        return;
      best = &choice, on_branch = branch, best_gain = gain, best_cost = cost, best_rows = more;
    };
    for (Choice& choice : choices) {
      if (choice.length < choice.prospect->length) consider(choice, false, choice.gain_of_length(), 1);
      if (choice.length > 0 && choice.branch < std::min(choice.prospect->branch, choice.length))
        consider(choice, true, choice.gain_of_branch(), choice.rows_of_branch());
    }
    if (best == nullptr || best_gain * seconds <= best_cost * tokens) return;
    longest = std::max(longest, on_branch ? ++best->branch : ++best->length);
    rows += best_rows, tokens += best_gain, seconds += best_cost;
  }
}

void Pace::plan(std::span<Unfinished> sequences, std::span<const Prospect> prospects, double seconds_a_token) {
  constexpr int64_t kLongestWait = 512, kTrial = 2;
  std::vector<Choice> choices;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const Kind& kind = kinds(sequences[i].handle)[prospects[i].kind];
    choices.push_back({&prospects[i], kind.accepted.value(), kind.branched.value()});
  }
  lengthen(choices, seconds_a_token);
  auto rows = static_cast<int64_t>(choices.size());
  for (const Choice& choice : choices) rows += choice.length + (choice.branch > 0 ? 1 + choice.branch : 0);
  for (size_t i = 0; i < sequences.size(); ++i) {
    Kind& kind = kinds(sequences[i].handle)[prospects[i].kind];
    int64_t trial = std::min({kTrial, prospects[i].length, kMostRows - rows});
    if (choices[i].length > 0) {
      kind.waited = 0, kind.wait = Kind().wait;
    } else if (trial > 0 && ++kind.waited > kind.wait) {
      kind.waited = 0, kind.wait = std::min(2 * kind.wait, kLongestWait);
      choices[i].length = trial, rows += trial;
    }
    sequences[i].length = choices[i].length, sequences[i].branch = choices[i].branch;
  }
}

void Pace::tell(int64_t handle, size_t kind, int64_t proposed, int64_t accepted, int branched) {
  if (proposed == 0) return;
  for (Kinds* counted : {&kinds(handle), &all_}) {
    auto hits = static_cast<double>(accepted);
    (*counted)[kind].accepted.add(hits, hits + (accepted < proposed));
    if (branched >= 0) (*counted)[kind].branched.add(branched, 1);
  }
}

void Pace::fork(int64_t parent, int64_t child) {
  Kinds copy = kinds(parent);
  sequences_.insert_or_assign(child, copy);
}

}  // namespace nuri
