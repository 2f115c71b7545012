#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "text/component.h"

namespace nuri {

// The fourth stage of a tokenizer: adds what a model wants around the text ("post_processor" of tokenizer.json).
class PostProcessor {
 public:
  using Parts = std::vector<std::vector<int32_t>>;
  virtual ~PostProcessor() = default;
  // Works on lists of ids that are joined at the end; the input is one list.
  virtual Parts apply(Parts parts, bool add_special) const = 0;
};

// Error(unsupported) for an unknown kind, Error(format) for a broken one.
std::unique_ptr<PostProcessor> read_post_processor(const Component& component);

}  // namespace nuri
