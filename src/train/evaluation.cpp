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
#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

struct Count {
  int64_t right = 0, asked = 0;  // whole answers
  ItemScore items;               // single names, single boxes
  double share() const { return asked == 0 ? 0 : static_cast<double>(right) / static_cast<double>(asked); }
};
using Counts = std::array<std::array<Count, kTasks>, 2>;  // by language, by task

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

  // `name` stands in the records for the picture.
  void ask(const Image& picture, const std::string& name, const Turn& turn) {
    Json content = {{{"type", "image"}}, {{"type", "text"}, {"text", turn.question}}};
    PreparedPrompt prompt = processor_(chat_->render({{{"role", "user"}, {"content", content}}}), {&picture, 1}, false);
    Request request;
    request.ids.assign(prompt.ids.begin(), prompt.ids.end());
    request.input = std::move(model_.embed(to_tensors(prompt)).front());
    request.sampling.greedy = true;
    request.sampling.max_tokens = kAnswer;
    request.eos = eos_;
    waiting_.push_back({engine_->submit(std::move(request)), name, turn});
    if (static_cast<int64_t>(waiting_.size()) >= batch_) finish();
  }

  void finish() {
    engine_->run_until_done();
    for (auto& [handle, name, turn] : waiting_) {
      Generation done = engine_->forget(handle);
      std::vector<int32_t> ids(done.ids.begin(), done.ids.end());
      std::string answer = processor_.tokenizer().decode(ids, /*skip_special=*/true);
      Count& count = counts_[static_cast<size_t>(turn.language)][static_cast<size_t>(turn.task)];
      bool right = is_right(turn, answer);
      ItemScore items = score_items(turn, answer);
      ++count.asked, count.right += right;
      count.items.found += items.found, count.items.expected += items.expected;
      Json record = {{"picture", name},
                     {"language", turn.language == Language::english ? "en" : "ko"},
                     {"task", task_name(turn.task)},
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
  static constexpr int64_t kAnswer = 160, kLongest = 512;

  struct Waiting {
    Engine::Handle handle;
    std::string picture;
    Turn turn;
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
  for (int task = 0; task < kTasks; ++task) {
    const Count &english = counts[0][task], &korean = counts[1][task];
    table += fmt::format(kRow, kTaskNames[task], share_of(english.right, english.asked),
                         share_of(korean.right, korean.asked));
  }
  for (auto [task, name] : {std::pair(Task::naming, "names, singly"), std::pair(Task::boxes, "boxes, singly")}) {
    const ItemScore &english = counts[0][static_cast<size_t>(task)].items,
                    &korean = counts[1][static_cast<size_t>(task)].items;
    table +=
        fmt::format(kRow, name, share_of(english.found, english.expected), share_of(korean.found, korean.expected));
  }
  return table;
}

Json json_of(const Counts& counts, int language) {
  Json json;
  for (int task = 0; task < kTasks; ++task) {
    const Count& c = counts[language][task];
    Json& entry = json[std::string(kTaskNames[task])];
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
  if (kind != "conversation" && kind != "names") reader.reject("kind", "conversation or names");
  if (kind == "names") options.kind = EvaluationOptions::Kind::names;
  reader.refuse_unknown_keys();
  return options;
}

Json evaluate_emoji_world(CausalLM& model, const Processor& processor, const std::filesystem::path& chat_folder,
                          const EvaluationOptions& options) {
  auto world = shared_emoji_world();
  SceneOptions scenes = read_scene_options(ConfigReader(options.data, "evaluation.data"));
  if (!options.save.empty()) make_folder(options.save);
  Examiner examiner(model, processor, chat_folder, options.batch);
  for (int64_t i = 0; i < options.scenes; ++i) {
    uint64_t index = static_cast<uint64_t>(i);
    Scene scene = make_scene(*world, scenes, Split::held_out, options.seed, index);
    std::string name = fmt::format("{:05}.png", i);
    if (!options.save.empty()) write_png(options.save / name, scene.picture);
    // The same scene in each language, so that the two columns compare.
    for (double korean : {0.0, 1.0}) {
      ConversationOptions conversation;
      conversation.korean_share = korean;
      for (const auto& turn : make_conversation(*world, scene, conversation, options.seed, index))
        examiner.ask(scene.picture, name, turn);
    }
    report_progress("evaluating", i + 1, options.scenes);
    check_interrupt();
  }
  examiner.finish();
  if (!options.save.empty()) write_file_atomically(options.save / "answers.jsonl", examiner.records());
  return {{"scenes", options.scenes},
          {"objects", world->size()},
          {"english", json_of(examiner.counts(), 0)},
          {"korean", json_of(examiner.counts(), 1)},
          {"table", table_of(examiner.counts())}};
}

}  // namespace nuri
