#include "weights/calibrated_rounding.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/test_support.h"
#include "weights/packing.h"

namespace nuri {
namespace {

using kernels::Coding;

// Inputs of a few directions, some of them great, as those of a decoder are.
at::Tensor inputs(int64_t rows, int64_t k) {
  at::Tensor x = at::randn({rows, k / 4}).matmul(at::randn({k / 4, k})) + 0.3 * at::randn({rows, k});
  x.narrow(1, 3, 2).mul_(12);
  return x;
}

double error_of(const at::Tensor& w, const WeightStore::Codes& codes, const at::Tensor& moments) {
  return output_error(w, numbers_of(codes, w.size(0), w.size(1)), moments);
}

TEST(CalibratedRounding, ErrsLessThanToTheNearest) {
  at::manual_seed(5);
  for (int64_t k : {70, 128}) {
    at::Tensor w = at::randn({37, k}) * 0.05, x = inputs(500, k), moments = x.t().matmul(x);
    for (Coding coding : {Coding::int4_steps, Coding::int4_ranges, Coding::int4_groups, Coding::int8_groups}) {
      SCOPED_TRACE(testing::Message() << name_of(coding) << ", " << k << " columns");
      const double nearest = error_of(w, round_to_codes(w, coding), moments);
      const double weighed = error_of(w, round_weighed(w, moments, coding), moments);
      const double feedback = error_of(w, round_with_feedback(w, moments, coding), moments);
      EXPECT_LE(weighed, nearest);
      EXPECT_LT(feedback, 0.6 * weighed);
    }
  }
}

TEST(CalibratedRounding, OnOtherInputsOfTheKindToo) {
  at::manual_seed(6);
  at::Tensor mix = at::randn({16, 64}), w = at::randn({48, 64}) * 0.05;
  auto seen = [&] { return at::randn({2000, 16}).matmul(mix) + 0.3 * at::randn({2000, 64}); };
  at::Tensor x = seen(), y = seen(), moments = x.t().matmul(x), others = y.t().matmul(y);
  EXPECT_LT(error_of(w, round_with_feedback(w, moments, Coding::int4_steps), others),
            0.7 * error_of(w, round_to_codes(w, Coding::int4_steps), others));
}

TEST(CalibratedRounding, GreatColumnsAreScaledUp) {
  at::manual_seed(7);
  at::Tensor w = at::randn({64, 96}) * 0.05, v = at::randn({32, 96}) * 0.05, x = inputs(800, 96);
  at::Tensor moments = x.t().matmul(x), factors = find_column_factors({w, v}, moments, Coding::int4_steps);
  EXPECT_GT(factors.narrow(0, 3, 2).min().item<float>(), 1.5 * factors.median().item<float>());
  at::Tensor scaled = moments / (factors.unsqueeze(1) * factors);
  EXPECT_LT(error_of(w * factors, round_weighed(w * factors, scaled, Coding::int4_steps), scaled),
            0.9 * error_of(w, round_weighed(w, moments, Coding::int4_steps), moments));
}

TEST(CalibratedRounding, WhatWasNeverSeen) {
  at::manual_seed(8);
  at::Tensor w = at::randn({20, 64}), none = at::zeros({64, 64});
  at::Tensor nearest = round_to_codes(w, Coding::int4_steps).bytes;
  EXPECT_TRUE(round_with_feedback(w, none, Coding::int4_steps).bytes.equal(nearest));
  EXPECT_TRUE(round_weighed(w, none, Coding::int4_steps).bytes.equal(nearest));
  EXPECT_TRUE(find_column_factors({w}, none, Coding::int4_steps).equal(at::ones({64})));
  // One row, one column: a matrix that has no inverse.
  at::Tensor x = at::zeros({1, 64});
  x[0][7] = 2;
  at::Tensor rounded = numbers_of(round_with_feedback(w, x.t().matmul(x), Coding::int4_steps), 20, 64);
  EXPECT_TRUE(at::isfinite(rounded).all().item<bool>());
  EXPECT_LT((rounded - w).select(1, 7).abs().max().item<float>(), 0.2);
}

TEST(CalibratedRounding, RefusesWhatIsNotFinite) {
  at::Tensor w = at::ones({4, 32}), moments = at::eye(32);
  moments[3][3] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(message_of([&] { round_with_feedback(w, moments, Coding::int4_steps); }), testing::HasSubstr("input"));
  w[1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of([&] { round_with_feedback(w, at::eye(32), Coding::int4_steps); }),
              testing::HasSubstr("not finite"));
}

}  // namespace
}  // namespace nuri
