#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/file.h"
#include "base/report.h"
#include "models/parts/inputs.h"
#include "train/evaluation.h"
#include "train/objectives/names.h"

namespace nuri {
namespace {

struct Tally {
  int64_t right = 0, asked = 0, above = 0, with_category = 0;
  double share() const { return asked == 0 ? 0 : static_cast<double>(right) / static_cast<double>(asked); }
  double above_category() const {
    return with_category == 0 ? 0 : static_cast<double>(above) / static_cast<double>(with_category);
  }
};

// The texts of one language as vectors, and how pictures did against them.
class NameExam {
 public:
  NameExam(Embedder& model, const PairProcessor& processor, const EmojiWorld& world, Language language)
      : world_(world), korean_(language == Language::korean) {
    std::vector<std::string> names, categories;
    for (const auto& object : world.objects()) {
      names.push_back(phrase_of(object.name(language), language, 0));
      CategoryWords words = category_words(object.category);
      categories.push_back(phrase_of(korean_ ? words.korean : words.english, language, 0));
    }
    for (auto& text : categories)
      if (text.empty()) text = names.front();  // never asked for
    names_ = model.embed_texts(to_tensors(processor.texts(names)));
    categories_ = model.embed_texts(to_tensors(processor.texts(categories)));
  }

  // vectors [N, D] of pictures of the objects -> the name that fits each best.
  std::vector<std::string> take(const at::Tensor& vectors, const std::vector<int>& objects) {
    std::vector<std::string> answers;
    at::Tensor scores = vectors.matmul(names_.t()), wider = vectors.matmul(categories_.t()), best = scores.argmax(1);
    for (size_t i = 0; i < objects.size(); ++i) {
      auto row = static_cast<int64_t>(i);
      int object = objects[i];
      auto said = static_cast<int>(best[row].item<int64_t>());
      answers.push_back(world_.objects()[said].name(korean_ ? Language::korean : Language::english));
      ++tally_.asked, tally_.right += said == object;
      if (*category_words(world_.objects()[object].category).english == 0) continue;
      ++tally_.with_category;
      tally_.above += scores[row][object].item<float>() > wider[row][object].item<float>();
    }
    return answers;
  }

  const Tally& tally() const { return tally_; }

 private:
  const EmojiWorld& world_;
  bool korean_;
  at::Tensor names_, categories_;  // [objects, D]
  Tally tally_;
};

Json json_of(const Tally& tally) {
  return {{"right", tally.right},
          {"asked", tally.asked},
          {"share", tally.share()},
          {"above_category", tally.above_category()}};
}

}  // namespace

Json evaluate_names(Embedder& model, const PairProcessor& processor, const EvaluationOptions& options) {
  ConfigReader data(options.data, "evaluation.data");
  auto world = shared_emoji_world(data.optional("further_objects", false));
  SceneOptions scenes = read_scene_options(data);
  if (scenes.max_objects != 1) data.reject("max_objects", "1");
  if (!options.save.empty()) make_folder(options.save);
  std::string records;  // one line of JSON a picture
  NameExam english(model, processor, *world, Language::english), korean(model, processor, *world, Language::korean);
  for (int64_t first = 0; first < options.scenes; first += options.batch) {
    std::vector<Image> pictures;
    std::vector<int> objects;
    for (int64_t i = first; i < std::min(first + options.batch, options.scenes); ++i) {
      Scene scene = make_scene(*world, scenes, Split::held_out, options.seed, static_cast<uint64_t>(i));
      objects.push_back(scene.objects[0].object);
      if (!options.save.empty()) write_png(options.save / fmt::format("{:05}.png", i), scene.picture);
      pictures.push_back(std::move(scene.picture));
    }
    at::Tensor vectors = model.embed_pictures(to_tensors(processor.pictures().prepare(pictures).arrays));
    auto said_en = english.take(vectors, objects), said_ko = korean.take(vectors, objects);
    for (size_t i = 0; i < objects.size(); ++i) {
      const WorldObject& object = world->objects()[objects[i]];
      records += Json({{"picture", fmt::format("{:05}.png", first + static_cast<int64_t>(i))},
                       {"english", {{"expected", object.words_en.name}, {"answer", said_en[i]}}},
                       {"korean", {{"expected", object.words_ko.name}, {"answer", said_ko[i]}}}})
                     .dump() +
                 "\n";
    }
    report_progress("evaluating", std::min(first + options.batch, options.scenes), options.scenes);
    check_interrupt();
  }
  if (!options.save.empty()) write_file_atomically(options.save / "answers.jsonl", records);
  const Tally &en = english.tally(), &ko = korean.tally();
  std::string table =
      fmt::format("{:<28} {:>10} {:>10}\n", fmt::format("of {} names", world->size()), "English", "Korean");
  auto row = [&](const char* what, double a, double b) {
    table += fmt::format("{:<28} {:>8.1f} % {:>8.1f} %\n", what, 100 * a, 100 * b);
  };
  row("the right one first", en.share(), ko.share());
  row("above its category's word", en.above_category(), ko.above_category());
  return {{"scenes", options.scenes},
          {"objects", world->size()},
          {"english", json_of(en)},
          {"korean", json_of(ko)},
          {"table", table}};
}

}  // namespace nuri
