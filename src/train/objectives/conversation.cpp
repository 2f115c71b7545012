#include "train/objectives/conversation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "models/registry.h"
#include "text/chat_template.h"
#include "train/emoji_world/conversation.h"
#include "train/objectives/packed_sample.h"
#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

ConversationOptions read_options(const ConfigReader& reader) {
  ConversationOptions options;
  options.min_turns = static_cast<int>(reader.optional<int64_t>("min_turns", options.min_turns));
  options.max_turns = static_cast<int>(reader.optional<int64_t>("max_turns", options.max_turns));
  options.korean_share = reader.optional("korean_share", options.korean_share);
  options.synonym_share = reader.optional("synonym_share", options.synonym_share);
  ConfigReader weights = reader.child_or_empty("weights");
  for (int task = 0; task < kTasks; ++task)
    options.weights[task] = weights.optional(kTaskNames[task], options.weights[task]);
  return options;
}

// The scene as text, for a model that cannot see it: "cat 고양이 [12, 30, 44, 61], ..." in an order that says nothing.
// Both names stand there because a patch shows an object in no language.
std::string describe(const EmojiWorld& world, const Scene& scene, CounterRandom random) {
  std::vector<std::string> parts;
  auto box = [](const Box& b) { return fmt::format(" [{}, {}, {}, {}]", b.x1, b.y1, b.x2, b.y2); };
  for (const auto& placed : scene.objects) {
    const WorldObject& object = world.objects()[placed.object];
    parts.push_back(object.name(Language::english) + " " + object.name(Language::korean) + box(placed.box));
  }
  if (scene.word) parts.push_back(fmt::format("\"{}\"", scene.word->text) + box(scene.word->box));
  random.shuffle(parts);
  return fmt::format("{}\n", fmt::join(parts, ", "));
}

// Stands for the answer in a rendered chat. Private-use characters, so that no template touches them.
constexpr std::string_view kAnswer = "\uE000\uE001";

class ConversationObjective : public Objective {
 public:
  ConversationObjective(const ObjectiveContext& context, bool pictures)
      : model_(context.model),
        source_(context.options.child("data"), context.seed),
        options_(read_options(context.options)),
        dialogue_share_(context.options.optional("dialogue_share", 0.1)),
        pointing_(context.options.optional("pointing", false)),
        pictures_(pictures),
        folder_(context.folder.string()) {
    const ConfigReader& config = context.model_config;
    if (family_of(config).processor == nullptr)
      config.reject("architectures", "a model that continues a text, for conversations");
    processor_ = family_of(config).processor(context.folder, config);
    placeholder_ = processor_->placeholder();
    auto chat = ChatTemplate::from_folder(context.folder);
    if (!chat) throw Error(ErrorKind::usage, fmt::format("{}: found no chat template", folder_));
    chat_.emplace(std::move(*chat));
  }

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<Scene> scenes = source_.make(first, count);
    std::vector<PackedSample> samples(count);
    parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) samples[i] = make_sample(scenes[i], first + static_cast<uint64_t>(i));
    });
    NamedTensors inputs = padded(samples);
    if (pictures_) inputs["pixel_values"] = scene_pixels(scenes);
    return {model_.forward(inputs).at("loss"), {}};
  }

 private:
  PackedSample make_sample(const Scene& scene, uint64_t index) const {
    auto turns = make_conversation(source_.world(), scene, options_, source_.seed(), index);
    CounterRandom random(source_.seed() + 1, index);
    bool dialogue = random.chance(dialogue_share_);
    // What a model without eyes reads in the picture's place.
    std::string words = pictures_ ? "" : describe(source_.world(), scene, random);
    PackedSample sample;
    int64_t shared = 0;
    for (size_t i = 0; i < turns.size(); ++i) {
      bool opens = i == 0 || !dialogue;
      Pieces pieces = render(turns, i, dialogue, words);
      if (opens) {
        if (i == 0) {
          sample.add(encode(pieces.shared, scene), false, 0);
          shared = sample.position;
        }
        sample.position = shared;
      }
      int64_t segment = dialogue ? 0 : static_cast<int64_t>(i) + 1;
      sample.add(encode(pieces.question, scene), false, segment);
      sample.add(encode(turns[i].answer, scene), true, segment);
      // The token that ends an answer is learned too; what stands behind it opens the next turn.
      std::vector<int32_t> end = encode(pieces.behind, scene);
      if (!end.empty()) sample.add({end.front()}, true, segment);
      if (dialogue && end.size() > 1) sample.add({end.begin() + 1, end.end()}, false, segment);
    }
    if (pointing_ && !dialogue) add_pointing(scene, index, shared, static_cast<int64_t>(turns.size()), sample);
    return sample;
  }

  void add_pointing(const Scene& scene, uint64_t index, int64_t shared, int64_t segment, PackedSample& sample) const {
    for (const auto& [name, answer] : make_pointing(source_.world(), scene, source_.seed(), index)) {
      sample.position = shared;
      sample.add(encode(name, scene), false, ++segment);
      sample.add(encode(answer, scene), true, segment);
    }
  }

  // One turn of the rendered chat: what all questions about the scene share (up to the picture), the rest of the
  // prompt, and what stands behind the answer.
  struct Pieces {
    std::string shared, question, behind;
  };

  Pieces render(const std::vector<Turn>& turns, size_t turn, bool dialogue, const std::string& words) const {
    Json messages = Json::array();
    for (size_t i = dialogue ? 0 : turn; i <= turn; ++i) {
      bool first = messages.empty();
      Json content = Json::array();
      if (first && pictures_) content.push_back({{"type", "image"}});
      content.push_back({{"type", "text"}, {"text", (first ? words : "") + turns[i].question}});
      messages.push_back({{"role", "user"}, {"content", content}});
      messages.push_back({{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", kAnswer}}}}});
    }
    std::string chat = chat_->render(messages, Json::object(), false);
    size_t answer = chat.rfind(kAnswer);
    if (answer == std::string::npos)
      throw Error(ErrorKind::usage, fmt::format("{}: the chat template drops or changes an answer", folder_));
    // Where this turn begins: behind what is shared, or behind the answer before it.
    std::string_view opening = pictures_ ? std::string_view(placeholder_) : std::string_view(words);
    size_t begin = chat.find(opening) + opening.size();
    Pieces pieces{chat.substr(0, begin), "", chat.substr(answer + kAnswer.size())};
    if (size_t before = answer > 0 ? chat.rfind(kAnswer, answer - 1) : std::string::npos; before != std::string::npos)
      begin = chat.find(pieces.behind, before) + pieces.behind.size();
    pieces.question = chat.substr(begin, answer - begin);
    return pieces;
  }

  std::vector<int32_t> encode(const std::string& text, const Scene& scene) const {
    bool with_picture = pictures_ && text.find(placeholder_) != std::string::npos;
    if (!with_picture) return processor_->tokenizer().encode(text, false);
    return (*processor_)(text, {&scene.picture, 1}, false).ids;
  }

  Model& model_;
  SceneSource source_;
  ConversationOptions options_;
  double dialogue_share_;
  bool pointing_;
  bool pictures_;
  std::string folder_, placeholder_;
  std::unique_ptr<Processor> processor_;
  std::optional<ChatTemplate> chat_;
};

}  // namespace

std::unique_ptr<Objective> make_conversation_objective(const ObjectiveContext& context) {
  std::string show = context.options.optional<std::string>("show", "pictures");
  if (show != "pictures" && show != "words") context.options.reject("show", "pictures or words");
  return std::make_unique<ConversationObjective>(context, show == "pictures");
}

}  // namespace nuri
