#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "text/aligned_text.h"
#include "text/component.h"

namespace nuri {

// A piece of the input: text still to be split and looked up, or an added token that was found.
struct Piece {
  AlignedText text;
  std::optional<int32_t> id;
};

// Replaces each piece without an id by what `split` makes of it; empty pieces go.
void split_pieces(std::vector<Piece>& pieces, const std::function<void(AlignedText, std::vector<Piece>&)>& split);

// The second stage of a tokenizer: cuts the text into words ("pre_tokenizer" of tokenizer.json).
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(std::vector<Piece>& pieces) const = 0;
  // Whether it asks a piece if it is at the start of the input.
  virtual bool needs_origins() const { return false; }
};

// Error(unsupported) for an unknown kind, Error(format) for a broken one.
std::unique_ptr<PreTokenizer> read_pre_tokenizer(const Component& component);

enum class PrependScheme { first, never, always };
// The field of Metaspace, in its old spelling add_prefix_space too.
PrependScheme read_prepend_scheme(const Component& component);

}  // namespace nuri
