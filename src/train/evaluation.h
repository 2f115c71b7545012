#pragma once

#include <filesystem>
#include <string>

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "models/parts/processors/pair_processor.h"
#include "models/parts/processors/processor.h"

namespace nuri {

class ComposedRetrieval;

struct EvaluationOptions {
  // What is measured: answers to questions about scenes; which name of all fits a picture of one object best; or the
  // three outputs of a Q-Former without a decoder.
  enum class Kind { conversation, names, q_former } kind = Kind::conversation;
  int64_t scenes = 500;
  uint64_t seed = 1000;
  int64_t batch = 16;               // questions at once
  Json data = Json::object();       // of the scenes, see SceneSource
  int64_t films = 0;                // conversation: how many films besides the scenes
  Json film_data = Json::object();  // of the films, see read_film_options
  // Where to keep the scenes as pictures, with answers.jsonl: what was asked, expected and said. Empty: nowhere.
  std::filesystem::path save;
};
EvaluationOptions read_evaluation_options(const ConfigReader& reader);

// Asks a model about held-out scenes of the emoji world, each question for itself as a user would, and scores the
// answers: {"scenes", "objects", "english": {task: {"right", "asked", "share"}}, "korean": {...}, "table": text};
// naming and boxes also have "items_found" and "items_expected", single names and boxes. With films, of which the
// frames are pictures in one prompt, also the tasks of films: tracking (its items are the boxes of single frames),
// moving and heading. `chat_folder` holds the chat template. Runs on the calling thread's inference mode.
Json evaluate_emoji_world(CausalLM& model, const Processor& processor, const std::filesystem::path& chat_folder,
                          const EvaluationOptions& options);

// Holds pictures of single objects, of the held-out split, against the names of all objects: {"scenes", "objects",
// "english": {"right", "asked", "share", "above_category"}, "korean": {...}, "table": text}. `above_category`: the
// share, of pictures whose category has a word, that fit their own name better than that word.
Json evaluate_names(Embedder& model, const PairProcessor& processor, const EvaluationOptions& options);

// Of pictures of single objects, of the held-out split, and by language, the share whose name is the nearest of all
// objects' ("contrast"), the share of right yes and no to its own and to another name ("match"), and the share whose
// name is told as it is ("grounded_text"): {"scenes", "objects", "english": {...}, "korean": {...}, "table": text}.
// `folder` holds the tokenizer.
Json evaluate_queries(ComposedRetrieval& model, const std::filesystem::path& folder, const PictureProcessor& processor,
                      const EvaluationOptions& options);

}  // namespace nuri
