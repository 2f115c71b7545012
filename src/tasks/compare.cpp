#include "tasks/compare.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/report.h"
#include "generate/likelihood.h"
#include "models/parts/inputs.h"
#include "tasks/compare_files.h"
#include "tasks/conversation.h"
#include "tasks/divergence.h"
#include "tasks/pictures.h"

namespace nuri {

namespace {

constexpr int64_t kTextWindow = 512;

using Ids = std::vector<int64_t>;

Ids wide(const std::vector<int32_t>& ids) { return {ids.begin(), ids.end()}; }

// A tokenizer's ids of a text, and those that it puts in front of any text.
struct EncodedText {
  Ids front, ids;
};

EncodedText encode(const Tokenizer& tokenizer, const std::string& file) {
  std::string text = read_file(file);
  EncodedText encoded;
  encoded.ids = wide(tokenizer.encode(text, /*add_special=*/false));
  Ids bare = wide(tokenizer.encode("a", false)), framed = wide(tokenizer.encode("a", true));
  auto inside = std::search(framed.begin(), framed.end(), bare.begin(), bare.end());
  if (inside != framed.end()) encoded.front.assign(framed.begin(), inside);
  return encoded;
}

// Pieces of `ids` behind `front`, `window` tokens each, of which all but the first one can be weighed.
std::vector<Ids> windows_of(const EncodedText& text, int64_t window) {
  auto room = window - static_cast<int64_t>(text.front.size());
  std::vector<Ids> windows;
  for (auto begin = text.ids.begin(); begin != text.ids.end();) {
    auto end = begin + std::min<std::ptrdiff_t>(room, text.ids.end() - begin);
    Ids& ids = windows.emplace_back(text.front);
    ids.insert(ids.end(), begin, end);
    if (ids.size() < 2) windows.pop_back();
    begin = end;
  }
  return windows;
}

}  // namespace

// One of the models that are compared: its engine, and what reads texts and questions where they are asked for.
class Compared {
 public:
  Compared(const ModelOptions& options, bool answers) : folder_(find_model(options.model)) {
    if (answers) {
      assistant_.emplace(options);
      engine_ = assistant_->parts_->engine.get();
      model_ = assistant_->parts_->model;
      return;
    }
    opened_ = open_model(options);
    model_ = dynamic_cast<CausalLM*>(opened_.model.get());
    if (model_ == nullptr)
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: found a model that gives no text, expected one that does", folder_.string()));
  }

  const std::filesystem::path& folder() const { return folder_; }
  CausalLM::Limits limits() const { return model_->limits(); }

  // Null: the folder has none, which ids do not need.
  const Tokenizer* tokenizer() {
    if (!tokenizer_ && is_there(folder_ / "tokenizer.json")) tokenizer_ = Tokenizer::from_folder(folder_);
    return tokenizer_ ? &*tokenizer_ : nullptr;
  }

  // For windows of so many tokens.
  void make_room(int64_t window) {
    if (engine_ != nullptr && engine_->context() >= window) return;
    EngineOptions options;
    options.context = window, options.cache_positions = window;
    own_engine_ = std::make_unique<Engine>(*model_, options);
    engine_ = own_engine_.get();
  }

  // Logits [n - 1, V] before each of the ids but the first.
  at::Tensor read(const Ids& ids) {
    Request request;
    request.ids = {ids.front()};
    request.given.assign(ids.begin() + 1, ids.end());
    return logits_of_given(*engine_, std::move(request));
  }

  // A question as this model reads it.
  DecoderInput prompt(const AskedQuestion& asked, std::span<const Image> pictures) {
    Assistant::Parts& parts = *assistant_->parts_;
    Json content = Json::array();
    for (size_t i = 0; i < pictures.size(); ++i) content.push_back({{"type", "image"}});
    content.push_back({{"type", "text"}, {"text", asked.question}});
    PreparedPrompt prepared =
        parts.prepared(parts.prompt(Json::array({{{"role", "user"}, {"content", content}}})), pictures, {});
    request_ = parts.request(prepared, greedy_);
    request_.keep_cached = false;
    return request_.input;
  }

  // The answer to the last prompt, with the token that closes it.
  Ids answer() {
    Tap nothing;
    return assistant_->parts_->run(std::exchange(request_, {}), nothing).ids;
  }

  // Logits [n, V] before each of the tokens behind a prompt.
  at::Tensor weigh(const DecoderInput& prompt, const Ids& tokens) {
    Request request;
    request.input = prompt;
    request.given = tokens;
    return logits_of_given(*engine_, std::move(request));
  }

  void answer_at_most(int64_t tokens) {
    greedy_.greedy = true;
    greedy_.max_tokens = tokens;
  }

 private:
  std::filesystem::path folder_;
  std::optional<Tokenizer> tokenizer_;
  std::optional<Assistant> assistant_;
  OpenedModel opened_;
  CausalLM* model_ = nullptr;
  std::unique_ptr<Engine> own_engine_;  // behind the model, which it uses
  Engine* engine_ = nullptr;
  GenerationOptions greedy_;
  Request request_;
};

namespace {

void check_vocabularies(Compared& a, Compared& b) {
  auto refuse = [&](const std::string& found) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: found {}, expected one vocabulary for both models", b.folder().string(), found));
  };
  int64_t in_a = a.limits().vocabulary, in_b = b.limits().vocabulary;
  if (in_a != in_b) refuse(fmt::format("logits of {} tokens, of {} in {}", in_b, in_a, a.folder().string()));
  if (a.folder() == b.folder()) return;
  const Tokenizer *words_a = a.tokenizer(), *words_b = b.tokenizer();
  if (!words_a || !words_b) return;
  auto count = static_cast<int32_t>(std::max(words_a->vocab_size(), words_b->vocab_size()));
  for (int32_t id = 0; id < count; ++id)
    if (words_a->token_of(id) != words_b->token_of(id))
      refuse(fmt::format("the token {} as {}, in {} as {}", id, shown_text(words_b->token_of(id), 40),
                         a.folder().string(), shown_text(words_a->token_of(id), 40)));
}

int64_t window_of(const CompareRequest& request, const Compared& a, const Compared& b) {
  int64_t context = std::min(a.limits().context, b.limits().context);
  if (request.window == 0) return std::min(kTextWindow, context);
  if (request.window < 2 || request.window > context)
    throw Error(ErrorKind::usage,
                fmt::format("--window: found {}, expected 2 to {}, the context's length", request.window, context));
  return request.window;
}

TokenComparison compare_windows(Compared& a, Compared& b, const std::vector<Ids>& windows, const std::string& file) {
  if (windows.empty())
    throw Error(ErrorKind::usage, fmt::format("{}: found less than two tokens, expected more", file));
  Divergence divergence;
  for (size_t i = 0; i < windows.size(); ++i) {
    at::Tensor of_a = a.read(windows[i]), of_b = b.read(windows[i]);
    divergence.add(of_a, of_b, std::span(windows[i]).subspan(1));
    report_progress("comparing", static_cast<int64_t>(i + 1), static_cast<int64_t>(windows.size()));
  }
  return divergence.result();
}

std::vector<TextComparison> compare_texts(Compared& a, Compared& b, const CompareRequest& request) {
  int64_t window = window_of(request, a, b);
  a.make_room(window), b.make_room(window);
  std::vector<TextComparison> results;
  if (!request.texts.empty()) {
    const Tokenizer* tokenizer = a.tokenizer();
    if (!tokenizer)
      throw Error(ErrorKind::usage, fmt::format("{}: found no tokenizer.json, expected one for --text (or give --ids)",
                                                a.folder().string()));
    for (const std::string& file : request.texts) {
      EncodedText text = encode(*tokenizer, file);
      if (static_cast<int64_t>(text.front.size()) >= window)
        throw Error(ErrorKind::usage, fmt::format("--window: found {}, expected more than the {} tokens that stand in "
                                                  "front of a text",
                                                  window, text.front.size()));
      results.push_back({file, compare_windows(a, b, windows_of(text, window), file)});
    }
  }
  for (const std::string& file : request.ids) {
    std::vector<Ids> windows;
    for (Ids& ids : read_id_lines(file))
      for (Ids& piece : windows_of({{}, std::move(ids)}, window)) windows.push_back(std::move(piece));
    results.push_back({file, compare_windows(a, b, windows, file)});
  }
  return results;
}

// What was found about some questions.
struct Questioned {
  std::vector<double> equal;  // 1: the same answer
  Divergence answers, expected;

  QuestionComparison result(const std::string& group) const {
    QuestionComparison result{group, static_cast<int64_t>(equal.size()), estimate(equal), answers.result(), {}};
    if (!expected.empty()) result.expected = expected.result();
    return result;
  }
};

std::vector<AskedQuestion> questions_of(const CompareRequest& request) {
  std::vector<AskedQuestion> questions;
  for (const std::string& question : request.questions) {
    for (const std::string& picture : request.pictures) questions.push_back({question, {picture}, {}, {}});
    if (request.pictures.empty()) questions.push_back({question, {}, {}, {}});
  }
  for (const std::string& file : request.question_files)
    for (AskedQuestion& asked : read_question_lines(file, request.group_by)) questions.push_back(std::move(asked));
  return questions;
}

void compare_question(Compared& a, Compared& b, const AskedQuestion& asked, const CompareRequest& request,
                      std::span<Questioned* const> told) {
  std::vector<Image> pictures = read_pictures(asked.pictures, request.limits);
  DecoderInput to_a = a.prompt(asked, pictures), to_b = b.prompt(asked, pictures);
  Ids answer = a.answer();
  bool equal = answer == b.answer();
  auto weigh = [&](const Ids& tokens, Divergence Questioned::*where) {
    if (tokens.empty()) return;
    at::Tensor of_a = a.weigh(to_a, tokens), of_b = b.weigh(to_b, tokens);
    for (Questioned* one : told) (one->*where).add(of_a, of_b, tokens);
  };
  for (Questioned* one : told) one->equal.push_back(equal);
  weigh(answer, &Questioned::answers);
  if (asked.expected) weigh(wide(a.tokenizer()->encode(*asked.expected, false)), &Questioned::expected);
}

std::vector<QuestionComparison> compare_questions(Compared& a, Compared& b, const CompareRequest& request) {
  std::vector<AskedQuestion> questions = questions_of(request);
  a.answer_at_most(request.max_tokens), b.answer_at_most(request.max_tokens);
  std::map<std::string, Questioned> groups;
  Questioned all;
  for (size_t i = 0; i < questions.size(); ++i) {
    Questioned* told[] = {&all, &groups[questions[i].group]};
    compare_question(a, b, questions[i], request, std::span(told).first(request.group_by.empty() ? 1 : 2));
    report_progress("asking", static_cast<int64_t>(i + 1), static_cast<int64_t>(questions.size()));
    check_interrupt();
  }
  std::vector<QuestionComparison> results;
  if (groups.size() > 1)
    for (const auto& [name, group] : groups) results.push_back(group.result(name));
  results.push_back(all.result(groups.size() == 1 ? groups.begin()->first : ""));
  return results;
}

void check(const CompareRequest& request) {
  if (!request.pictures.empty() && request.questions.empty())
    throw Error(ErrorKind::usage, "-i: found a picture without a question, expected --question");
  bool asks = !request.questions.empty() || !request.question_files.empty();
  if (!asks && request.texts.empty() && request.ids.empty())
    throw Error(ErrorKind::usage,
                "compare: found nothing to compare on, expected --text, --ids, --question or "
                "--questions");
  if (!request.group_by.empty() && (request.question_files.empty() || !request.questions.empty()))
    throw Error(ErrorKind::usage, "--by: found a key, expected questions of --questions alone, whose lines have it");
  if (request.max_tokens < 1)
    throw Error(ErrorKind::usage, fmt::format("--max-tokens: found {}, expected at least 1", request.max_tokens));
}

}  // namespace

CompareResult compare(const CompareRequest& request) {
  check(request);
  bool asks = !request.questions.empty() || !request.question_files.empty();
  Compared a(request.a, asks), b(request.b, asks);
  check_vocabularies(a, b);
  c10::InferenceMode inference;
  CompareResult result;
  if (!request.texts.empty() || !request.ids.empty()) result.texts = compare_texts(a, b, request);
  if (asks) result.questions = compare_questions(a, b, request);
  return result;
}

}  // namespace nuri
