#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace nuri {

// No entry in a model's answer, an object or a tag, is longer.
constexpr size_t kLongestEntry = 4096;

// One behind the '}' of the JSON object at text[at], which is a '{'. Another '{' outside a string sets `restart` to its
// place instead: only objects without others inside are found.
std::optional<size_t> end_of_flat_object(std::string_view text, size_t at, size_t& restart);

}  // namespace nuri
