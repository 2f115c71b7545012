#include "train/objectives/conversation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "models/parts/inputs.h"
#include "models/registry.h"
#include "text/chat_template.h"
#include "train/emoji_world/conversation.h"
#include "train/objectives/film_source.h"
#include "train/objectives/frame_numbers.h"
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

// Pictures, and what is asked about them.
struct Shown {
  std::vector<Image> pictures;
  std::vector<Turn> turns;
  std::vector<Pointing> pointing;
  bool dialogue = false;
  std::string words;  // what a model without eyes reads in the pictures' place
};

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
    if (context.options.has("films")) {
      if (!pictures_) context.options.reject("films", "none where the model reads words");
      films_.emplace(context.options.child("films"), source_.options().size);
    }
    const ConfigReader& config = context.model_config;
    if (family_of(config).processor == nullptr)
      config.reject("architectures", "a model that continues a text, for conversations");
    processor_ = family_of(config).processor(context.folder, config);
    placeholder_ = processor_->placeholder();
    auto chat = ChatTemplate::from_folder(context.folder);
    if (!chat) throw Error(ErrorKind::usage, fmt::format("{}: found no chat template", folder_));
    chat_.emplace(std::move(*chat));
    if (films_ && films_->numbered_behind >= 0) number_frames(context.options.child("films"), config);
  }

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<uint64_t> scenes, films;
    for (uint64_t index = first; index < first + static_cast<uint64_t>(count); ++index)
      (is_film(index) ? films : scenes).push_back(index);
    if (!films_) return loss_of(scenes, false);
    // Apart, since the rows of films are several times as long.
    Loss loss{at::zeros({}), {}};
    for (auto [name, indices] : {std::pair("films", &films), std::pair("scenes", &scenes)}) {
      if (indices->empty()) continue;
      Loss part = loss_of(*indices, indices == &films);
      loss.total = loss.total + part.total * (static_cast<double>(indices->size()) / static_cast<double>(count));
      loss.parts.push_back({name, part.total.item<double>()});
      std::ranges::move(part.parts, std::back_inserter(loss.parts));
    }
    return loss;
  }

 private:
  void number_frames(const ConfigReader& films, const ConfigReader& config) {
    auto* decoder = dynamic_cast<CausalLM*>(&model_);
    if (decoder == nullptr) config.reject("architectures", "a model that continues a text, for numbered_behind");
    int64_t layers = decoder->cache_shape().layers;
    if (films_->numbered_behind >= layers)
      films.reject("numbered_behind", fmt::format("a layer of the decoder, 0 to {}", layers - 1));
    numbers_.emplace(*decoder, encode(placeholder_).at(0), films_->numbered_behind,
                     number_tokens(processor_->tokenizer(), films_->film.max_frames));
  }

  bool is_film(uint64_t index) const {
    return films_ && CounterRandom(source_.seed() + 3, index).chance(films_->share);
  }

  Loss loss_of(const std::vector<uint64_t>& indices, bool films) {
    auto count = static_cast<int64_t>(indices.size());
    std::vector<Shown> shown(indices.size());
    std::vector<PackedSample> samples(indices.size());
    parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        shown[i] = films ? show_film(indices[i]) : show_scene(indices[i]);
        samples[i] = make_sample(shown[i]);
      }
    });
    NamedTensors inputs = padded(samples);
    if (pictures_) {
      // As the model's own processor makes them, in tiles or whole.
      std::vector<Image> pictures;
      for (auto& each : shown) std::ranges::move(each.pictures, std::back_inserter(pictures));
      inputs.merge(to_tensors(processor_->pictures().prepare(pictures).arrays));
    }
    return films && numbers_ ? numbered_loss(inputs) : Loss{model_.forward(inputs).at("loss"), {}};
  }

  Loss numbered_loss(const NamedTensors& inputs) {
    Tap tap;
    tap.layer = numbers_->layer();
    model_.show(&tap);
    at::Tensor answers = model_.forward(inputs).at("loss");
    model_.show(nullptr);
    if (!tap.output.defined())
      throw Error(ErrorKind::unsupported, "films: numbered_behind: this family's decoder does not show its layers");
    Loss loss = numbers_->loss(tap.output, inputs.at("input_ids"));
    loss.parts.push_back({"answers", answers.item<double>()});
    loss.total = loss.total + answers;
    return loss;
  }

  Shown show_scene(uint64_t index) const {
    Scene scene = source_.make(index);
    Shown shown;
    shown.turns = make_conversation(source_.world(), scene, options_, source_.seed(), index);
    CounterRandom random(source_.seed() + 1, index);
    shown.dialogue = random.chance(dialogue_share_);
    if (!pictures_) shown.words = describe(source_.world(), scene, random);
    if (pointing_ && !shown.dialogue) shown.pointing = make_pointing(source_.world(), scene, source_.seed(), index);
    if (pictures_) shown.pictures.push_back(std::move(scene.picture));
    return shown;
  }

  Shown show_film(uint64_t index) const {
    Film film = make_film(source_.world(), films_->film, Split::train, source_.seed(), index);
    Shown shown;
    for (auto& [task, turn] : make_film_conversation(source_.world(), film, films_->questions, source_.seed(), index))
      shown.turns.push_back(std::move(turn));
    if (pointing_) shown.pointing = make_film_pointing(source_.world(), film, films_->pointings, source_.seed(), index);
    for (Scene& frame : film.frames) shown.pictures.push_back(std::move(frame.picture));
    return shown;
  }

  PackedSample make_sample(const Shown& shown) const {
    PackedSample sample;
    int64_t shared = 0;
    for (size_t i = 0; i < shown.turns.size(); ++i) {
      bool opens = i == 0 || !shown.dialogue;
      Pieces pieces = render(shown, i);
      if (opens) {
        if (i == 0) {
          sample.add(encode(pieces.shared, shown.pictures), false, 0);
          shared = sample.position;
        }
        sample.position = shared;
      }
      int64_t segment = shown.dialogue ? 0 : static_cast<int64_t>(i) + 1;
      sample.add(encode(pieces.question), false, segment);
      sample.add(encode(shown.turns[i].answer), true, segment);
      // The token that ends an answer is learned too; what stands behind it opens the next turn.
      std::vector<int32_t> end = encode(pieces.behind);
      if (!end.empty()) sample.add({end.front()}, true, segment);
      if (shown.dialogue && end.size() > 1) sample.add({end.begin() + 1, end.end()}, false, segment);
    }
    auto segment = static_cast<int64_t>(shown.turns.size());
    for (const auto& [name, answer] : shown.pointing) {
      sample.position = shared;
      sample.add(encode(name), false, ++segment);
      sample.add(encode(answer), true, segment);
    }
    return sample;
  }

  // One turn of the rendered chat: what all questions about the pictures share (up to the last of them), the rest of
  // the prompt, and what stands behind the answer.
  struct Pieces {
    std::string shared, question, behind;
  };

  Pieces render(const Shown& shown, size_t turn) const {
    Json messages = Json::array();
    for (size_t i = shown.dialogue ? 0 : turn; i <= turn; ++i) {
      bool first = messages.empty();
      messages.push_back(
          user_message(first ? shown.pictures.size() : 0, (first ? shown.words : "") + shown.turns[i].question));
      messages.push_back({{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", kAnswer}}}}});
    }
    std::string chat = chat_->render(messages, Json::object(), false);
    size_t answer = chat.rfind(kAnswer);
    if (answer == std::string::npos)
      throw Error(ErrorKind::usage, fmt::format("{}: the chat template drops or changes an answer", folder_));
    // Where this turn begins: behind what is shared, or behind the answer before it.
    size_t begin = end_of_opening(chat, shown);
    Pieces pieces{chat.substr(0, begin), "", chat.substr(answer + kAnswer.size())};
    if (size_t before = answer > 0 ? chat.rfind(kAnswer, answer - 1) : std::string::npos; before != std::string::npos)
      begin = chat.find(pieces.behind, before) + pieces.behind.size();
    pieces.question = chat.substr(begin, answer - begin);
    return pieces;
  }

  // Behind the last picture, or the words in their place.
  size_t end_of_opening(const std::string& chat, const Shown& shown) const {
    if (!pictures_) return chat.find(shown.words) + shown.words.size();
    size_t end = 0;
    for (size_t i = 0; i < shown.pictures.size(); ++i) end = chat.find(placeholder_, end) + placeholder_.size();
    return end;
  }

  std::vector<int32_t> encode(const std::string& text, std::span<const Image> pictures = {}) const {
    if (pictures.empty()) return processor_->tokenizer().encode(text, false);
    return (*processor_)(text, pictures, false).ids;
  }

  Model& model_;
  SceneSource source_;
  ConversationOptions options_;
  double dialogue_share_;
  bool pointing_;
  bool pictures_;
  std::optional<FilmSource> films_;
  std::optional<FrameNumbers> numbers_;
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
