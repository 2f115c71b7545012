#pragma once

#include <optional>

#include "common.h"

namespace nuri {

// What two models are compared on: at least one text, file of ids, question or file of questions.
struct CompareRequest {
  ModelOptions a, b;               // b is held against a, whose device and threads both use
  std::vector<std::string> texts;  // files of plain text, each reported by itself
  std::vector<std::string> ids;    // files with token ids, one sequence a line: [1, 2, 3] or {"ids": [1, 2, 3]}
  int64_t window = 0;  // tokens of a text that are read together; 0: 512, or the context where it is shorter
  std::vector<std::string> pictures, questions;  // each question is asked of each picture by itself
  // Files of lines {"question": text, "picture": file, "expected": text}; in place of "picture" there may be
  // "pictures", a list, or neither, and "expected" may be missing. Pictures lie beside the file.
  std::vector<std::string> question_files;
  std::string group_by;      // a key of these lines: those with the same value are reported together
  int64_t max_tokens = 128;  // of an answer
  PictureLimits limits;
};

// A mean and its standard error.
struct Estimate {
  double value = 0, error = 0;
};

// How two models that read the same tokens weigh the next one.
struct TokenComparison {
  int64_t tokens = 0;  // that were weighed
  // exp of the mean of -log p(token); `ratio` is that of b by that of a, whose error is of the paired difference.
  Estimate perplexity_a, perplexity_b, perplexity_ratio;
  Estimate kl;  // KL(a || b) of the next token's distributions in nats; infinite where b rules out what a does not
  double kl_median = 0, kl_99 = 0;  // not exceeded by half, and by 99 % of the tokens
  double kl_most = 0;
  Estimate equal_top;  // share of tokens of which both find the same the likeliest
};

struct TextComparison {
  std::string file;
  TokenComparison next;
};

struct QuestionComparison {
  std::string group;  // the value of `group_by`; empty: all questions
  int64_t asked = 0;
  Estimate equal_answers;                   // share of questions that both answer with the same tokens, greedily
  TokenComparison answers;                  // both weigh the tokens of a's answers
  std::optional<TokenComparison> expected;  // the same of what was expected, where the lines tell it
};

struct CompareResult {
  std::vector<TextComparison> texts;          // those of `texts`, then those of `ids`
  std::vector<QuestionComparison> questions;  // all together last, where there is more than one group
};

// How far model b is from model a, by the distributions that both give of each next token when they read the same
// tokens, and by their greedy answers. Token ids need no tokenizer in the folders. Throws Error(usage) for models of
// different vocabularies, for nothing to compare on, and for files that are not as told above.
CompareResult compare(const CompareRequest& request);

}  // namespace nuri
