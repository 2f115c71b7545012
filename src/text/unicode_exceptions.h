#pragma once

#include <span>

#include "text/unicode.h"

namespace nuri {

// Where the reference's Unicode tables differ from those of utf8proc, among the code points assigned in
// Unicode 14. Made by tests/parity/unicode_exceptions.py.
std::span<const CodeRange> not_punctuation();
std::span<const CodeRange> also_punctuation();
std::span<const CodeRange> not_control_or_format();
std::span<const CodeRange> not_nonspacing_mark();
std::span<const CodeRange> also_nonspacing_mark();
std::span<const CodeRange> not_combining_mark();
std::span<const CodeRange> also_combining_mark();
std::span<const CodeRange> no_decomposition();    // canonical or not
std::span<const CodeRange> no_combining_class();  // combining class 0 in the reference
std::span<const CodeRange> no_script();           // newer than the reference's table of scripts, and the space

}  // namespace nuri
