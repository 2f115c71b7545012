#include "train/evaluation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/report.h"
#include "generate/engine.h"
#include "generate/generation_config.h"
#include "media/image.h"
#include "models/parts/inputs.h"
#include "text/chat_template.h"
#include "train/emoji_world/score.h"
#include "train/objectives/film_source.h"
#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

struct Count {
  int64_t right = 0, asked = 0;  // whole answers
  ItemScore items;               // single names, single boxes
  double share() const { return asked == 0 ? 0 : static_cast<double>(right) / static_cast<double>(asked); }
};
// By language, by task: those of scenes and then those of films.
constexpr int kAllTasks = kTasks + kFilmTasks;
using Counts = std::array<std::array<Count, kAllTasks>, 2>;

std::string_view name_of_task(int task) { return task < kTasks ? kTaskNames[task] : kFilmTaskNames[task - kTasks]; }

// A question about a scene or about a film.
struct Question {
  Turn turn;
  std::optional<FilmTask> film = {};

  int task() const { return film ? kTasks + static_cast<int>(*film) : static_cast<int>(turn.task); }
  bool right(const std::string& answer) const {
    return film ? is_right(FilmTurn{*film, turn}, answer) : is_right(turn, answer);
  }
  ItemScore items(const std::string& answer) const {
    if (!film) return score_items(turn, answer);
    if (*film != FilmTask::tracking) return {};
    return {count_tracked(turn, answer), static_cast<int>(turn.boxes.size())};
  }
};

// Asks questions in batches and counts the right answers.
class Examiner {
 public:
  Examiner(CausalLM& model, const Processor& processor, const std::filesystem::path& folder, int64_t batch)
      : model_(model), processor_(processor), eos_(read_generation_config(folder).eos), batch_(batch) {
    auto chat = ChatTemplate::from_folder(folder);
    if (!chat) throw Error(ErrorKind::usage, fmt::format("{}: found no chat template", folder.string()));
    chat_.emplace(std::move(*chat));
    EngineOptions options;
    options.cache_positions = batch * kLongest;
    engine_ = std::make_unique<Engine>(model, options);
  }

  // `name` stands in the records for the picture, or for the film whose frames the pictures are.
  void ask(std::span<const Image> pictures, const std::string& name, Question question) {
    std::string chat = chat_->render(Json::array({user_message(pictures.size(), question.turn.question)}));
    PreparedPrompt prompt = processor_(chat, pictures, false);
    Request request;
    request.ids.assign(prompt.ids.begin(), prompt.ids.end());
    request.input = std::move(model_.embed(take_tensors(prompt)).front());
    request.sampling.greedy = true;
    request.sampling.max_tokens = kAnswer;
    request.eos = eos_;
    waiting_.push_back({engine_->submit(std::move(request)), name, std::move(question)});
    if (static_cast<int64_t>(waiting_.size()) >= batch_) finish();
  }

  void finish() {
    engine_->run_until_done();
    for (auto& [handle, name, question] : waiting_) {
      const Turn& turn = question.turn;
      Generation done = engine_->forget(handle);
      std::vector<int32_t> ids(done.ids.begin(), done.ids.end());
      std::string answer = processor_.tokenizer().decode(ids, /*skip_special=*/true);
      Count& count = counts_[static_cast<size_t>(turn.language)][static_cast<size_t>(question.task())];
      bool right = question.right(answer);
      ItemScore items = question.items(answer);
      ++count.asked, count.right += right;
      count.items.found += items.found, count.items.expected += items.expected;
      Json record = {{"picture", name},
                     {"language", turn.language == Language::english ? "en" : "ko"},
                     {"task", name_of_task(question.task())},
                     {"question", turn.question},
                     {"expected", turn.answer},
                     {"answer", answer},
                     {"right", right}};
      records_ += record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    waiting_.clear();
  }

  const Counts& counts() const { return counts_; }
  // One line of JSON an answer.
  const std::string& records() const { return records_; }

 private:
  static constexpr int64_t kAnswer = 256, kLongest = 1024;

  struct Waiting {
    Engine::Handle handle;
    std::string picture;
    Question question;
  };
  CausalLM& model_;
  const Processor& processor_;
  std::vector<int64_t> eos_;
  int64_t batch_;
  std::optional<ChatTemplate> chat_;
  std::unique_ptr<Engine> engine_;
  std::vector<Waiting> waiting_;
  Counts counts_{};
  std::string records_;
};

std::string share_of(int64_t right, int64_t asked) {
  if (asked == 0) return "-";
  return fmt::format("{:.1f} % of {}", 100.0 * static_cast<double>(right) / static_cast<double>(asked), asked);
}

std::string table_of(const Counts& counts) {
  constexpr auto kRow = "{:<16} {:>18} {:>18}\n";
  std::string table = fmt::format(kRow, "task", "English", "Korean");
  auto row = [&](std::string_view name, auto&& share) {
    table += fmt::format(kRow, name, share(counts[0]), share(counts[1]));
  };
  for (int task = 0; task < kAllTasks; ++task)
    if (task < kTasks || counts[0][task].asked + counts[1][task].asked > 0)
      row(name_of_task(task), [&](const auto& of) { return share_of(of[task].right, of[task].asked); });
  for (auto [task, name] : {std::pair(int(Task::naming), "names, singly"), std::pair(int(Task::boxes), "boxes, singly"),
                            std::pair(kTasks + int(FilmTask::tracking), "frames, singly")})
    if (task < kTasks || counts[0][task].asked + counts[1][task].asked > 0)
      row(name, [&](const auto& of) { return share_of(of[task].items.found, of[task].items.expected); });
  return table;
}

Json json_of(const Counts& counts, int language) {
  Json json;
  for (int task = 0; task < kAllTasks; ++task) {
    const Count& c = counts[language][task];
    if (task >= kTasks && c.asked == 0) continue;
    Json& entry = json[std::string(name_of_task(task))];
    entry = {{"right", c.right}, {"asked", c.asked}, {"share", c.share()}};
    if (c.items.expected > 0) entry["items_found"] = c.items.found, entry["items_expected"] = c.items.expected;
  }
  return json;
}

}  // namespace

EvaluationOptions read_evaluation_options(const ConfigReader& reader) {
  EvaluationOptions options;
  options.scenes = reader.optional("scenes", options.scenes);
  if (options.scenes < 1) reader.reject("scenes", "at least 1");
  options.seed = static_cast<uint64_t>(reader.optional<int64_t>("seed", static_cast<int64_t>(options.seed)));
  options.batch = reader.optional("batch", options.batch);
  if (options.batch < 1) reader.reject("batch", "at least 1");
  options.data = reader.optional("data", options.data);
  auto kind = reader.optional<std::string>("kind", "conversation");
  if (kind == "names") {
    options.kind = EvaluationOptions::Kind::names;
  } else if (kind == "q_former") {
    options.kind = EvaluationOptions::Kind::q_former;
  } else if (kind != "conversation") {
    reader.reject("kind", "conversation, names or q_former");
  }
  ConfigReader films = reader.child_or_empty("films");
  options.films = films.optional("count", options.films);
  if (options.films < 0) films.reject("count", "at least 0");
  options.film_data = films.optional("data", options.film_data);
  reader.refuse_unknown_keys();
  return options;
}

namespace {

void ask_about_scenes(const EmojiWorld& world, const EvaluationOptions& options, Examiner& examiner) {
  SceneOptions scenes = read_scene_options(ConfigReader(options.data, "evaluation.data"));
  for (int64_t i = 0; i < options.scenes; ++i) {
    uint64_t index = static_cast<uint64_t>(i);
    Scene scene = make_scene(world, scenes, Split::held_out, options.seed, index);
    std::string name = fmt::format("{:05}.png", i);
    if (!options.save.empty()) write_png(options.save / name, scene.picture);
    // The same scene in each language, so that the two columns compare.
    for (double korean : {0.0, 1.0}) {
      ConversationOptions conversation;
      conversation.korean_share = korean;
      for (auto& turn : make_conversation(world, scene, conversation, options.seed, index))
        examiner.ask({&scene.picture, 1}, name, {std::move(turn)});
    }
    report_progress("evaluating", i + 1, options.scenes);
    check_interrupt();
  }
}

void ask_about_films(const EmojiWorld& world, const EvaluationOptions& options, Examiner& examiner) {
  FilmOptions films = read_film_options(ConfigReader(options.film_data, "evaluation.films.data"),
                                        read_scene_options(ConfigReader(options.data, "evaluation.data")).size);
  for (int64_t i = 0; i < options.films; ++i) {
    uint64_t index = static_cast<uint64_t>(i);
    Film film = make_film(world, films, Split::held_out, options.seed, index);
    std::vector<Image> frames;
    for (Scene& frame : film.frames) {
      if (!options.save.empty())
        write_png(options.save / fmt::format("film-{:05}-{}.png", i, frames.size() + 1), frame.picture);
      frames.push_back(frame.picture);
    }
    for (double korean : {0.0, 1.0}) {
      FilmQuestionOptions questions;
      questions.korean_share = korean;
      for (auto& [task, turn] : make_film_conversation(world, film, questions, options.seed, index))
        examiner.ask(frames, fmt::format("film-{:05}", i), {std::move(turn), task});
    }
    report_progress("evaluating films", i + 1, options.films);
    check_interrupt();
  }
}

}  // namespace

Json evaluate_emoji_world(CausalLM& model, const Processor& processor, const std::filesystem::path& chat_folder,
                          const EvaluationOptions& options) {
  auto world = shared_emoji_world();
  if (!options.save.empty()) make_folder(options.save);
  Examiner examiner(model, processor, chat_folder, options.batch);
  ask_about_scenes(*world, options, examiner);
  ask_about_films(*world, options, examiner);
  examiner.finish();
  if (!options.save.empty()) write_file_atomically(options.save / "answers.jsonl", examiner.records());
  return {{"scenes", options.scenes},
          {"films", options.films},
          {"objects", world->size()},
          {"english", json_of(examiner.counts(), 0)},
          {"korean", json_of(examiner.counts(), 1)},
          {"table", table_of(examiner.counts())}};
}

}  // namespace nuri
