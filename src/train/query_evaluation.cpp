#include <ATen/ATen.h>
#include <fmt/format.h>

#include <limits>

#include "base/file.h"
#include "base/random.h"
#include "base/report.h"
#include "models/composed/retrieval.h"
#include "models/parts/inputs.h"
#include "train/evaluation.h"
#include "train/objectives/query_texts.h"
#include "train/objectives/scene_batch.h"

namespace nuri {
namespace {

constexpr int64_t kLongestName = 32;  // tokens

// How the three outputs of a Q-Former did in one language.
class QueryExam {
 public:
  QueryExam(const ComposedRetrieval& model, const QueryTexts& texts, const EmojiWorld& world, Language language)
      : model_(model), texts_(texts) {
    for (const auto& object : world.objects()) names_.push_back(object.name(language));
    vectors_ = model.reader().read(texts(names_, QueryTexts::Begin::whole)).vectors;
  }

  // pictures [N, P, E] of the objects; `others`: another object for each.
  void take(const at::Tensor& pictures, const std::vector<int>& objects, const std::vector<int>& others) {
    const QueryReader& reader = model_.reader();
    at::Tensor best = QueryReader::contrast(reader.embed_pictures(pictures), vectors_).argmax(1);
    at::Tensor own = judged(pictures, objects), other = judged(pictures, others);
    std::vector<std::string> told = tell(pictures);
    for (size_t i = 0; i < objects.size(); ++i) {
      auto row = static_cast<int64_t>(i);
      nearest_ += best[row].item<int64_t>() == objects[i];
      matched_ += own[row].item<bool>() + !other[row].item<bool>();
      told_ += told[i] == names_[static_cast<size_t>(objects[i])];
      said_.push_back({{"expected", names_[static_cast<size_t>(objects[i])]},
                       {"nearest", names_[static_cast<size_t>(best[row].item<int64_t>())]},
                       {"told", told[i]}});
    }
  }

  Json json() const {
    auto count = static_cast<double>(said_.size());
    return {{"contrast", static_cast<double>(nearest_) / count},
            {"match", static_cast<double>(matched_) / (2 * count)},
            {"grounded_text", static_cast<double>(told_) / count}};
  }
  const std::vector<Json>& said() const { return said_; }

 private:
  // Whether each picture fits the name of its object -> [N] bool
  at::Tensor judged(const at::Tensor& pictures, const std::vector<int>& objects) const {
    std::vector<std::string> texts;
    for (int object : objects) texts.push_back(names_[static_cast<size_t>(object)]);
    const QueryReader& reader = model_.reader();
    at::Tensor logits = reader.match(reader.read_together(pictures, texts_(texts, QueryTexts::Begin::whole)));
    return logits.argmax(1) == 1;
  }

  // The likeliest text of each picture, in this exam's language by its first token's being one of a name here.
  std::vector<std::string> tell(const at::Tensor& pictures) const {
    int64_t count = pictures.size(0);
    QueryReader::Text text{at::full({count, 1}, texts_.begin_of(QueryTexts::Begin::told), at::kLong),
                           at::ones({count, 1}, at::kBool)};
    at::Tensor done = at::zeros({count}, at::kBool);
    while (text.ids.size(1) < kLongestName && !done.all().item<bool>()) {
      at::Tensor logits = model_.tell(pictures, text).select(1, text.ids.size(1) - 1);
      if (text.ids.size(1) == 1) logits = logits + first_tokens(logits);
      at::Tensor next = logits.argmax(1).masked_fill(done, texts_.end());
      done = done.logical_or(next == texts_.end());
      text = {at::cat({text.ids, next.unsqueeze(1)}, 1), at::ones({count, text.ids.size(1) + 1}, at::kBool)};
    }
    std::vector<std::string> told;
    for (int64_t row = 0; row < count; ++row) {
      std::vector<int32_t> ids;
      for (int64_t i = 1; i < text.ids.size(1) && text.ids[row][i].item<int64_t>() != texts_.end(); ++i)
        ids.push_back(static_cast<int32_t>(text.ids[row][i].item<int64_t>()));
      told.push_back(texts_.tokenizer().decode(ids, /*skip_special=*/true));
    }
    return told;
  }

  // 0 where a name of this language begins so, else minus infinity: a caption may be in either language.
  at::Tensor first_tokens(const at::Tensor& logits) const {
    at::Tensor allowed = at::full({logits.size(1)}, -std::numeric_limits<float>::infinity(), at::kFloat);
    at::Tensor firsts = texts_(names_, QueryTexts::Begin::told).ids.select(1, 1);
    return allowed.index_fill(0, firsts, 0);
  }

  const ComposedRetrieval& model_;
  const QueryTexts& texts_;
  std::vector<std::string> names_;
  at::Tensor vectors_;  // [objects, C]
  int64_t nearest_ = 0, matched_ = 0, told_ = 0;
  std::vector<Json> said_;
};

std::string table_of(const Json& english, const Json& korean) {
  std::string table = fmt::format("{:<34} {:>10} {:>10}\n", "", "English", "Korean");
  auto row = [&](const char* what, const char* key) {
    table += fmt::format("{:<34} {:>8.1f} % {:>8.1f} %\n", what, 100 * english[key].get<double>(),
                         100 * korean[key].get<double>());
  };
  row("contrast: its name of all nearest", "contrast");
  row("match: its own and another name", "match");
  row("grounded text: its name told", "grounded_text");
  return table;
}

}  // namespace

Json evaluate_queries(ComposedRetrieval& model, const std::filesystem::path& folder, const PictureProcessor& processor,
                      const EvaluationOptions& options) {
  ConfigReader data(options.data, "evaluation.data");
  auto world = shared_emoji_world(data.optional("further_objects", false));
  SceneOptions scenes = read_scene_options(data);
  if (scenes.max_objects != 1) data.reject("max_objects", "1");
  if (!options.save.empty()) make_folder(options.save);
  QueryTexts texts(folder);
  QueryExam english(model, texts, *world, Language::english), korean(model, texts, *world, Language::korean);
  for (int64_t first = 0; first < options.scenes; first += options.batch) {
    std::vector<Image> pictures;
    std::vector<int> objects, others;
    for (int64_t i = first; i < std::min(first + options.batch, options.scenes); ++i) {
      auto index = static_cast<uint64_t>(i);
      Scene scene = make_scene(*world, scenes, Split::held_out, options.seed, index);
      int shown = scene.objects[0].object;
      auto further = 1 + static_cast<int>(CounterRandom(options.seed, index).below(world->objects().size() - 1));
      objects.push_back(shown), others.push_back((shown + further) % world->size());
      if (!options.save.empty()) write_png(options.save / fmt::format("{:05}.png", i), scene.picture);
      pictures.push_back(std::move(scene.picture));
    }
    at::Tensor seen = model.look(to_tensors(processor.prepare(pictures).arrays).at("pixel_values"));
    english.take(seen, objects, others), korean.take(seen, objects, others);
    report_progress("evaluating", std::min(first + options.batch, options.scenes), options.scenes);
    check_interrupt();
  }
  std::string records;
  for (size_t i = 0; i < english.said().size(); ++i)
    records +=
        Json({{"picture", fmt::format("{:05}.png", i)}, {"english", english.said()[i]}, {"korean", korean.said()[i]}})
            .dump(-1, ' ', false, Json::error_handler_t::replace) +
        "\n";
  if (!options.save.empty()) write_file_atomically(options.save / "answers.jsonl", records);
  return {{"scenes", options.scenes},
          {"objects", world->size()},
          {"english", english.json()},
          {"korean", korean.json()},
          {"table", table_of(english.json(), korean.json())}};
}

}  // namespace nuri
