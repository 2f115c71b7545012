#include "train/objectives/names.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "base/random.h"
#include "text/tokenizer.h"
#include "train/emoji_world/grammar.h"

namespace nuri {
namespace {

constexpr double kCategoryFit = 0.3;
constexpr int64_t kCategories = static_cast<int64_t>(Category::thing) + 1;

constexpr std::array kEnglish = {"{x}", "{x:a}", "a picture of {x:a}", "a drawing of {x:a}", "this is {x:a}"};
constexpr std::array kKorean = {"{x}", "{x} 그림", "{x} 사진", "{x}의 그림", "이것은 {x}"};

class NamesObjective : public Objective {
 public:
  NamesObjective(const ObjectiveContext& context, int64_t text_context)
      : model_(context.model),
        source_(context.options.child("data"), context.seed),
        tokenizer_(Tokenizer::from_folder(context.folder)),
        korean_share_(context.options.optional("korean_share", 0.5)),
        category_share_(context.options.optional("category_share", 0.1)),
        synonym_share_(context.options.optional("synonym_share", 0.15)),
        further_texts_(context.options.optional<int64_t>("further_texts", 32)),
        text_context_(text_context) {
    int64_t width = context.model_config.child("vision_config").required<int64_t>("hidden_size");
    anchors_ = context.weights.get("anchors", {source_.world().size() + kCategories, width}, Init::normal(0.06));
    if (source_.options().max_objects != 1) context.options.child("data").reject("max_objects", "1");
    if (further_texts_ < 0 || further_texts_ > 4096) context.options.reject("further_texts", "0 to 4096");
    auto end = tokenizer_.id_of("<|endoftext|>");
    if (!end) throw Error(ErrorKind::usage, fmt::format("{}: found no token <|endoftext|>", context.folder.string()));
    end_ = *end;
  }

  Loss loss(uint64_t first, int64_t count) override {
    std::vector<Scene> scenes = source_.make(first, count);
    const auto& objects = source_.world().objects();
    std::vector<NamedKind> kinds;
    at::Tensor ids = at::full({count + further_texts_, text_context_}, end_, at::kLong);
    for (int64_t i = 0; i < count + further_texts_; ++i) {
      // Numbers of texts never meet those of another step.
      CounterRandom random(source_.seed() + 3, first * (1 + static_cast<uint64_t>(further_texts_)) + i);
      int object = i < count ? scenes[i].objects[0].object : static_cast<int>(random.below(objects.size()));
      kinds.push_back(say(object, random, ids[i]));
    }
    at::Tensor targets = at::zeros({static_cast<int64_t>(kinds.size()), count});
    auto fits = targets.accessor<float, 2>();
    for (int64_t i = 0; i < targets.size(0); ++i)
      for (int64_t j = 0; j < count; ++j) {
        int shown = scenes[j].objects[0].object;
        fits[i][j] = static_cast<float>(kinds[i].fit(shown, objects[shown].category));
      }
    NamedTensors outputs = model_.forward({{"pixel_values", scene_pixels(scenes)}, {"input_ids", ids}});
    const at::Tensor& logits = outputs.at("logits_per_text");
    at::Tensor pairs = sigmoid_fit_loss(logits, targets);
    std::vector<int64_t> shown, said;
    for (const auto& scene : scenes) shown.push_back(scene.objects[0].object);
    for (const auto& kind : kinds) said.push_back(anchor_of(kind));
    at::Tensor anchored = anchor_loss(outputs.at("image_embeds"), shown) + anchor_loss(outputs.at("text_embeds"), said);
    at::Tensor best = targets.gather(0, logits.argmax(0, /*keepdim=*/true));
    return {pairs + anchored,
            {{"pairs", pairs.item<double>()},
             {"anchored", anchored.item<double>()},
             {"right", (best == 1).to(at::kFloat).mean().item<double>()}}};
  }

 private:
  int64_t anchor_of(const NamedKind& kind) const {
    return kind.object >= 0 ? kind.object : source_.world().size() + static_cast<int64_t>(kind.category);
  }

  // vectors [N, D] of length 1, each of which should lie nearest to its anchor.
  at::Tensor anchor_loss(const at::Tensor& vectors, const std::vector<int64_t>& wanted) const {
    constexpr double kScale = 16;
    at::Tensor directions = anchors_ / anchors_.norm(2, -1, /*keepdim=*/true);
    return at::cross_entropy_loss(kScale * vectors.matmul(directions.t()), at::tensor(wanted, at::kLong));
  }

  // Writes the ids of a text for `object` into the row.
  NamedKind say(int object, CounterRandom& random, const at::Tensor& row) const {
    const WorldObject& shown = source_.world().objects()[object];
    Language language = random.chance(korean_share_) ? Language::korean : Language::english;
    NamedKind kind{object, shown.category};
    const ObjectWords& words = shown.words(language);
    std::string name = words.name;
    if (!words.synonyms.empty() && random.chance(synonym_share_))
      name = words.synonyms[random.below(words.synonyms.size())];
    CategoryWords category = category_words(shown.category);
    if (*category.english != 0 && random.chance(category_share_)) {
      kind.object = -1;
      name = language == Language::english ? category.english : category.korean;
    }
    auto tokens = tokenizer_.encode(phrase_of(name, language, random.below(kEnglish.size())), false);
    auto kept = std::min<int64_t>(static_cast<int64_t>(tokens.size()), text_context_ - 1);
    for (int64_t j = 0; j < kept; ++j) row[j] = tokens[static_cast<size_t>(j)];
    return kind;
  }

  Model& model_;
  SceneSource source_;
  Tokenizer tokenizer_;
  double korean_share_, category_share_, synonym_share_;
  int64_t further_texts_, text_context_, end_ = 0;
  at::Tensor anchors_;  // [objects + categories, D]
};

}  // namespace

double NamedKind::fit(int other, Category other_category) const {
  if (object >= 0) return object == other ? 1 : 0;
  return category == other_category ? kCategoryFit : 0;
}

std::string phrase_of(const std::string& name, Language language, uint64_t variant) {
  const auto& patterns = language == Language::english ? kEnglish : kKorean;
  return fill_phrase(patterns[variant % patterns.size()], {{'x', name}});
}

at::Tensor sigmoid_fit_loss(const at::Tensor& logits, const at::Tensor& targets) {
  at::Tensor each = targets * at::log_sigmoid(logits) + (1 - targets) * at::log_sigmoid(-logits);
  return -each.sum(0).mean();
}

std::unique_ptr<Objective> make_names_objective(const ObjectiveContext& context) {
  return std::make_unique<NamesObjective>(
      context, context.model_config.child("text_config").required<int64_t>("max_position_embeddings"));
}

}  // namespace nuri
