#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "generate/proposer.h"

namespace nuri {

// How long steps take by their rows: a straight line through the last ones, of which older ones count less and less.
class StepClock {
 public:
  void add(int64_t rows, double seconds);
  // Seconds; before anything was measured, as a multiple of a step without rows.
  double expect(int64_t rows) const;

 private:
  double weight_ = 0, rows_ = 0, squares_ = 0, seconds_ = 0, products_ = 0;  // sums
};

// The share of hits among the last trials above all.
class Share {
 public:
  double value() const { return hits_ / trials_; }
  void add(double hits, double trials);

 private:
  static constexpr double kAssumed = 4;  // trials before the first
  double hits_ = 0.6 * kAssumed, trials_ = kAssumed;
};

// Decides how many tokens are worth proposing: as many as give the most tokens a second, by the share of those that
// were accepted so far (each token of a path taken as one trial, as Leviathan et al. 2023 do) and by the measured time
// of steps. Where none pays, none is proposed but for a short trial now and then, ever more seldom.
class Pace {
 public:
  // Of a step: up to here a product is bound by reading the weights, and rounds a row as it rounds a single one.
  static constexpr int64_t kMostRows = 16;

  // Sets `length` and `branch` of the sequences that are to go on in one step, a row each.
  void plan(std::span<Unfinished> sequences, std::span<const Prospect> prospects, double seconds_a_token);
  // Of the first path's `proposed` tokens so many were right. `branched`: whether the second path was right where the
  // first was not from its first token on: 1 or 0; -1: that was not tried.
  void tell(int64_t handle, size_t kind, int64_t proposed, int64_t accepted, int branched);
  void stepped(int64_t rows, double seconds) { clock_.add(rows, seconds); }
  void fork(int64_t parent, int64_t child);
  void forget(int64_t handle) { sequences_.erase(handle); }

 private:
  struct Kind {
    Share accepted, branched;
    int64_t waited = 0, wait = 16;  // steps without a proposal, and how many there are to be
  };
  using Kinds = std::array<Kind, Proposer::kKinds>;
  struct Choice;
  Kinds& kinds(int64_t handle);
  void lengthen(std::vector<Choice>& choices, double seconds_a_token) const;

  StepClock clock_;
  Kinds all_;  // a new sequence begins with these shares
  std::map<int64_t, Kinds> sequences_;
};

}  // namespace nuri
