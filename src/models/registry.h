#pragma once

#include <filesystem>

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "models/parts/processors/pair_processor.h"
#include "models/parts/processors/processor.h"
#include "weights/stores.h"

namespace nuri {

// One kind of checkpoint, by the name that its config.json gives under `architectures`.
struct Family {
  std::string architecture;
  // Builds the model; weights are read through the view.
  std::unique_ptr<Model> (*make)(const ConfigReader& config, const WeightView& weights);
  // Published spellings of the weights' names, and those that a file may have in vain.
  NameRules (*names)(const ConfigReader& config);
  // Reads tokenizer and processor files; null: the family is used on tensors alone.
  std::unique_ptr<Processor> (*processor)(const std::filesystem::path& folder, const ConfigReader& config);
  // Reads the processor file of pictures; null: an ImageProcessor does.
  std::unique_ptr<PictureProcessor> (*pictures)(const std::filesystem::path& folder) = nullptr;
  // Of a family that puts texts and pictures into one space.
  std::unique_ptr<PairProcessor> (*pairs)(const std::filesystem::path& folder, const ConfigReader& config) = nullptr;
};

// Every family that Nuri knows.
const std::vector<Family>& families();

// The family of a configuration, or Error(unsupported) that lists the supported ones. A configuration without
// `architectures` is recognised by `model_type` where that is unambiguous.
const Family& family_of(const ConfigReader& config);

// The model in `folder`, or in a GGUF file, with all its weights. Throws when a tensor is missing or superfluous, and
// Error(resource), before any weight is read, when memory cannot hold those that need a copy.
struct OpenedModel {
  std::unique_ptr<Model> model;
  std::vector<NamedTensor> parameters;
};
OpenedModel open_model(const std::filesystem::path& folder, const LoadOptions& options);

// The processor of the model in `folder`; needs no weights. Throws Error(unsupported) for a family without one.
std::unique_ptr<Processor> open_processor(const std::filesystem::path& folder);

// The part of it that reads pictures; needs no tokenizer either.
std::unique_ptr<PictureProcessor> open_picture_processor(const std::filesystem::path& folder);

// Of a model that puts texts and pictures into one space, or Error(unsupported).
std::unique_ptr<PairProcessor> open_pair_processor(const std::filesystem::path& folder);

// config.json of a model folder (or the file itself), or what a GGUF file tells in its words.
ConfigReader read_config(const std::filesystem::path& folder_or_file);

}  // namespace nuri
