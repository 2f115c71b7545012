#pragma once

#include "common.h"

namespace nuri {

struct PreprocessRequest {
  std::string model;
  std::optional<std::string> text;
  std::vector<std::string> pictures;
  std::string output;  // safetensors, named as the Hugging Face processor names them
  PictureLimits limits;
};

// What a model's processor makes of text and pictures; needs no weights.
void preprocess(const PreprocessRequest& request);

}  // namespace nuri
