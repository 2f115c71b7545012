#pragma once

// Not installed: part of ask.

#include <span>

#include "base/config_reader.h"
#include "models/parts/interface.h"
#include "text/tokenizer.h"

namespace nuri {

// What the experts of each layer were given: {"tokens": [text of each row], "layers": [{"layer", "experts": [[of each
// row]], "weights": [[likewise]], "load": [share of all choices that fell on each expert that was chosen, by
// number]}]}. `ids`: of the rows, in the order in which they ran.
Json routing_json(const Tap& tap, std::span<const int64_t> ids, const Tokenizer& tokenizer);

}  // namespace nuri
