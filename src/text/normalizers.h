#pragma once

#include <memory>

#include "text/aligned_text.h"
#include "text/component.h"

namespace nuri {

// The first stage of a tokenizer: rewrites the text ("normalizer" of tokenizer.json).
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(AlignedText& text) const = 0;
};

// Error(unsupported) for an unknown kind, Error(format) for a broken one.
std::unique_ptr<Normalizer> read_normalizer(const Component& component);

// The pattern of Replace and Split: {"String": ...} or {"Regex": ...}.
Pattern read_pattern(const Component& component);

}  // namespace nuri
