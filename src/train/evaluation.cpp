#include "train/evaluation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/report.h"
#include "generate/engine.h"
#include "generate/generation_config.h"
#include "text/chat_template.h"
#include "train/emoji_world/score.h"
#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

struct Count {
  int64_t right = 0, asked = 0;
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

  void ask(const Image& picture, const Turn& turn) {
    Json content = {{{"type", "image"}}, {{"type", "text"}, {"text", turn.question}}};
    PreparedPrompt prompt = processor_(chat_->render({{{"role", "user"}, {"content", content}}}), {&picture, 1}, false);
    at::Tensor pixels = at::from_blob(prompt.pixels->values.data(), prompt.pixels->shape, at::kFloat);
    Request request;
    request.ids.assign(prompt.ids.begin(), prompt.ids.end());
    request.embeddings = model_.embed(at::tensor(request.ids, at::kLong), {{"pixel_values", pixels}});
    request.sampling.greedy = true;
    request.sampling.max_tokens = kAnswer;
    request.eos = eos_;
    waiting_.push_back({engine_->submit(std::move(request)), turn});
    if (static_cast<int64_t>(waiting_.size()) >= batch_) finish();
  }

  void finish() {
    engine_->run_until_done();
    for (auto& [handle, turn] : waiting_) {
      Generation done = engine_->forget(handle);
      std::vector<int32_t> ids(done.ids.begin(), done.ids.end());
      std::string answer = processor_.tokenizer().decode(ids, /*skip_special=*/true);
      Count& count = counts_[static_cast<size_t>(turn.language)][static_cast<size_t>(turn.task)];
      ++count.asked;
      count.right += is_right(turn, answer);
    }
    waiting_.clear();
  }

  const Counts& counts() const { return counts_; }

 private:
  static constexpr int64_t kAnswer = 160, kLongest = 512;

  struct Waiting {
    Engine::Handle handle;
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
};

std::string table_of(const Counts& counts) {
  std::string table = fmt::format("{:<10} {:>18} {:>18}\n", "task", "English", "Korean");
  for (int task = 0; task < kTasks; ++task) {
    auto cell = [&](int language) {
      const Count& c = counts[language][task];
      return c.asked == 0 ? std::string("-") : fmt::format("{:.1f} % of {}", 100 * c.share(), c.asked);
    };
    table += fmt::format("{:<10} {:>18} {:>18}\n", kTaskNames[task], cell(0), cell(1));
  }
  return table;
}

Json json_of(const Counts& counts, int language) {
  Json json;
  for (int task = 0; task < kTasks; ++task) {
    const Count& c = counts[language][task];
    json[std::string(kTaskNames[task])] = {{"right", c.right}, {"asked", c.asked}, {"share", c.share()}};
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
  reader.refuse_unknown_keys();
  return options;
}

Json evaluate_emoji_world(CausalLM& model, const Processor& processor, const std::filesystem::path& chat_folder,
                          const EvaluationOptions& options) {
  auto world = shared_emoji_world();
  SceneOptions scenes = read_scene_options(ConfigReader(options.data, "evaluation.data"));
  Examiner examiner(model, processor, chat_folder, options.batch);
  for (int64_t i = 0; i < options.scenes; ++i) {
    uint64_t index = static_cast<uint64_t>(i);
    Scene scene = make_scene(*world, scenes, Split::held_out, options.seed, index);
    // The same scene in each language, so that the two columns compare.
    for (double korean : {0.0, 1.0}) {
      ConversationOptions conversation;
      conversation.korean_share = korean;
      for (const auto& turn : make_conversation(*world, scene, conversation, options.seed, index))
        examiner.ask(scene.picture, turn);
    }
    report_progress("evaluating", i + 1, options.scenes);
    check_interrupt();
  }
  examiner.finish();
  return {{"scenes", options.scenes},
          {"objects", world->size()},
          {"english", json_of(examiner.counts(), 0)},
          {"korean", json_of(examiner.counts(), 1)},
          {"table", table_of(examiner.counts())}};
}

}  // namespace nuri
