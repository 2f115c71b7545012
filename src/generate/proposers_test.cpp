#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/draft_model.h"
#include "generate/pace.h"
#include "generate/prompt_lookup.h"
#include "generate/speculation.h"
#include "generate/test_support.h"

namespace nuri {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A sequence as an engine shows it, with all that it refers to.
struct Shown {
  explicit Shown(std::vector<int64_t> all, size_t prompt_tokens = 1, int64_t wanted = 4, int64_t wanted_branch = 0)
      : ids(std::move(all)), history(std::vector<int64_t>()) {
    sampling.greedy = true;
    for (size_t i = prompt_tokens; i < ids.size(); ++i) history.add(ids[i]);
    sequence.emplace(Unfinished{1, ids, prompt_tokens, nullptr, history, sampling, 0, {}, 8, wanted, wanted_branch});
  }
  std::vector<int64_t> ids;
  TokenHistory history;
  SamplingOptions sampling;
  std::optional<Unfinished> sequence;
};

std::vector<Path> looked_up(std::vector<int64_t> ids, int64_t length, int64_t branch = 0) {
  Shown shown(std::move(ids), 1, length, branch);
  PromptLookup lookup;
  lookup.look(*shown.sequence);
  return lookup.propose({&*shown.sequence, 1})[0];
}

TEST(PromptLookup, FindsWhatFollowedTheLongestEnd) {
  EXPECT_THAT(looked_up({1, 2, 3, 9, 8, 3, 7, 7, 1, 2, 3}, 2), ElementsAre(ElementsAre(9, 8)));  // not "3 7"
  EXPECT_THAT(looked_up({2, 3, 4, 2, 3, 5, 2, 3}, 2), ElementsAre(ElementsAre(5, 2)));           // the latest of equals
  EXPECT_THAT(looked_up({1, 2, 3, 4}, 4), IsEmpty());
  EXPECT_THAT(looked_up({4}, 4), IsEmpty());
  Shown shown({1, 2, 3, 9, 8, 1, 2, 3});
  PromptLookup lookup;
  Prospect prospect = lookup.look(*shown.sequence);
  EXPECT_EQ(prospect.kind, 2u);
  EXPECT_EQ(prospect.length, 8);
  EXPECT_EQ(prospect.branch, 0);
}

TEST(PromptLookup, ARepetitionGoesOn) {
  EXPECT_THAT(looked_up({1, 2, 3, 2, 3}, 5), ElementsAre(ElementsAre(2, 3, 2, 3, 2)));
  EXPECT_THAT(looked_up({6, 6}, 3), ElementsAre(ElementsAre(6, 6, 6)));
}

TEST(PromptLookup, TheSecondPathBeginsDifferently) {
  EXPECT_THAT(looked_up({1, 2, 8, 1, 2, 9, 5, 1, 2}, 2, 1), ElementsAre(ElementsAre(9, 5), ElementsAre(8)));
  EXPECT_THAT(looked_up({1, 2, 9, 1, 2, 9, 5, 1, 2}, 2, 1), ElementsAre(ElementsAre(9, 5)));
}

TEST(PromptLookup, PicturesAreNeitherFoundNorProposed) {
  EXPECT_THAT(looked_up({3, 4, kNoToken, kNoToken, 5, 3, 4}, 3), IsEmpty());
  EXPECT_THAT(looked_up({3, 4, 5, kNoToken, kNoToken, 3, 4}, 3), ElementsAre(ElementsAre(5)));
  EXPECT_THAT(looked_up({kNoToken, 4, 5, kNoToken, 4}, 1), ElementsAre(ElementsAre(5)));
  EXPECT_THAT(looked_up({5, kNoToken, 6, kNoToken}, 1), IsEmpty());
}

TEST(StepClock, FindsTheLineOfItsSteps) {
  StepClock clock;
  EXPECT_GT(clock.expect(8), clock.expect(1));  // an assumption
  for (int i = 0; i < 200; ++i) clock.add(1 + i % 8, 2.0 + 0.5 * (1 + i % 8));
  EXPECT_NEAR(clock.expect(1), 2.5, 0.1);
  EXPECT_NEAR(clock.expect(8), 6.0, 0.2);
  clock.add(1, 1000);  // the machine was held
  EXPECT_LT(clock.expect(1), 4);
  StepClock noisy;
  for (int i = 0; i < 20; ++i) noisy.add(8 - i % 2 * 7, i % 2 == 0 ? 0.0 : 1.0);
  EXPECT_GE(noisy.expect(8), noisy.expect(1));  // more rows never take less
}

// What is planned for one sequence when steps take base + row * rows seconds and proposals were right in this share.
int64_t planned(double base, double row, double share, double draft_seconds = 0) {
  Pace pace;
  for (int i = 0; i < 100; ++i) pace.stepped(1 + i % 8, base + row * (1 + i % 8));
  Shown shown({1, 2});
  for (int i = 0; i < 100; ++i) pace.tell(1, 0, i % 100 < 100 * share ? 1 : 1, i % 100 < 100 * share ? 1 : 0, -1);
  Prospect prospect{0, 12, 0};
  pace.plan({&*shown.sequence, 1}, {&prospect, 1}, draft_seconds);
  return shown.sequence->length;
}

TEST(Pace, ProposesWhatPays) {
  EXPECT_EQ(planned(1, 0.001, 1.0), 12);
  EXPECT_EQ(planned(1, 1.0, 0.5), 0);       // a row costs as much as a step
  EXPECT_EQ(planned(1, 0.001, 1.0, 2), 0);  // a draft costs more than a step
  int64_t likely = planned(1, 0.05, 0.95), unlikely = planned(1, 0.05, 0.0);
  EXPECT_GT(likely, 3);
  EXPECT_EQ(unlikely, 0);
}

TEST(Pace, TriesAnewEverMoreSeldom) {
  Pace pace;
  for (int i = 0; i < 50; ++i) pace.stepped(1 + i % 8, 1.0 + i % 8);
  Shown shown({1, 2});
  Prospect prospect{1, 6, 6};
  for (int i = 0; i < 50; ++i) pace.tell(1, 1, 3, 0, 0);
  std::vector<int> trials;
  for (int step = 0; step < 300; ++step) {
    pace.plan({&*shown.sequence, 1}, {&prospect, 1}, 0);
    EXPECT_LE(shown.sequence->length, 2);
    if (shown.sequence->length > 0) trials.push_back(step), pace.tell(1, 1, 2, 0, 0);
  }
  ASSERT_GE(trials.size(), 3u);
  EXPECT_GT(trials[2] - trials[1], trials[1] - trials[0]);
  EXPECT_LT(trials.size(), 8u);
}

TEST(Pace, KeepsRowsFewInAll) {
  Pace pace;
  for (int i = 0; i < 50; ++i) pace.stepped(1 + i % 8, 1.0);
  std::list<Shown> all;
  std::vector<Unfinished> sequences;
  for (int i = 0; i < 5; ++i) {
    all.emplace_back(std::vector<int64_t>{1, 2});
    sequences.push_back(*all.back().sequence);
    sequences.back().handle = i;
    for (int trial = 0; trial < 30; ++trial) pace.tell(i, 0, 4, i < 4 ? 4 : 0, -1);
  }
  std::vector<Prospect> prospects(5, {0, 12, 12});
  pace.plan(sequences, prospects, 0);
  int64_t rows = 0, proposed = 0;
  for (const auto& sequence : sequences) {
    rows += 1 + sequence.length + (sequence.branch > 0 ? 1 + sequence.branch : 0);
    proposed += sequence.length;
  }
  EXPECT_EQ(rows, Pace::kMostRows);
  EXPECT_GT(proposed, 5);
  EXPECT_EQ(sequences[4].length, 0);  // where it is never right
}

TEST(TokensRead, RowsThatAreNoTokensEmbeddingsHaveNone) {
  TinyModel model;
  at::NoGradGuard no_gradients;
  std::vector<int64_t> ids{4, 9, 9, 200, 5};
  DecoderInput input;
  EXPECT_EQ(tokens_read(model, ids, input), ids);
  input.embeddings = model.embed_made(at::tensor({4, 9, 9, 9, 5}, at::kLong)).clone();
  input.embeddings[2] += 1;
  EXPECT_THAT(tokens_read(model, ids, input), ElementsAre(4, 9, kNoToken, kNoToken, 5));
}

std::vector<Path> drafted(DraftModel& draft, Shown& shown) {
  draft.look(*shown.sequence);
  return draft.propose({&*shown.sequence, 1})[0];
}

// A draft that is the target proposes its own answer, from wherever the answer has come.
TEST(DraftModel, ProposesWhatItWouldSay) {
  TinyModel model;
  auto ids = prompt(20, 1);
  auto answer = alone(model, request(ids, 30));
  DraftModel draft(model, 97);
  for (size_t said : {1, 2, 5, 6, 26, 3}) {  // accepted some, all, none, many unread, and taken back
    auto all = ids;
    all.insert(all.end(), answer.begin(), answer.begin() + said);
    Shown shown(all, ids.size(), 4);
    auto paths = drafted(draft, shown);
    EXPECT_EQ(paths[0], Path(answer.begin() + said, answer.begin() + said + std::min<size_t>(4, answer.size() - said)))
        << said;
    EXPECT_THAT(paths[1], IsEmpty());
  }
}

TEST(DraftModel, TheSecondPathBeginsWithTheNextChoice) {
  TinyModel model;
  auto all = prompt(20, 1);
  Shown shown(all, 19, 3, 2);
  DraftModel draft(model, 97);
  auto paths = drafted(draft, shown);
  EXPECT_EQ(paths[0], alone(model, request(all, 3)));
  ASSERT_EQ(paths[1].size(), 2u);
  EXPECT_NE(paths[0][0], paths[1][0]);
  all.push_back(paths[1][0]);
  EXPECT_EQ(alone(model, request(all, 1))[0], paths[1][1]);
}

TEST(DraftModel, FullCachesAndLongTextsGetNoProposals) {
  TinyModel model;
  Shown shown(prompt(40, 1), 39);
  DraftModel tight(model, 97, 0, 32), brief(model, 97, 40);
  EXPECT_THAT(drafted(tight, shown)[0], IsEmpty());
  EXPECT_EQ(brief.look(*shown.sequence).length, 1);
  Shown pictures({kNoToken, kNoToken, 3}, 2);
  DraftModel draft(model, 97);
  EXPECT_THAT(drafted(draft, pictures)[0], IsEmpty());
  Shown unknown({1, 2, 96, 300}, 2);
  EXPECT_EQ(draft.look(*unknown.sequence).length, 0);
}

TEST(DraftModel, ReadsAConversationOnce) {
  TinyModel model;
  DraftModel draft(model, 97);
  auto all = prompt(50, 1);
  Shown first(all, 49);
  drafted(draft, first);
  draft.forget(1);
  for (int64_t id : prompt(10, 2)) all.push_back(id);
  Shown second(all, 59);
  model.rows = 0;
  auto paths = drafted(draft, second);
  EXPECT_EQ(model.rows, 59 - 50 + 1 + 3);
  EXPECT_EQ(paths[0], alone(model, request(all, 4)));
}

// A draft of its own reads pictures in its own way: other rows, other ids.
TEST(DraftModel, ReadsItsOwnPrompt) {
  TinyModel model;
  at::NoGradGuard no_gradients;
  auto own = prompt(12, 4);
  DraftPrompt prompt_of_draft;
  prompt_of_draft.ids = {7};
  prompt_of_draft.input.embeddings = model.embed_made(at::tensor(own, at::kLong));
  Shown shown({kNoToken, kNoToken, 3, 11}, 3);
  shown.sequence.emplace(Unfinished{1, shown.ids, 3, &prompt_of_draft, shown.history, shown.sampling, 0, {}, 8, 4, 0});
  DraftModel draft(model, 97);
  own.push_back(11);
  EXPECT_EQ(drafted(draft, shown)[0], alone(model, request(own, 4)));
}

}  // namespace
}  // namespace nuri
