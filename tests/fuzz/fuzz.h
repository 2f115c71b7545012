#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace nuri::fuzz {

// Ends the process, which is what a fuzzer and the corpus driver notice.
[[noreturn]] inline void fail(std::string_view what) {
  std::fprintf(stderr, "fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

// Runs a parser on hostile bytes. An Error is a right answer if its message is one line and blames the
// input; any other exception (std::bad_alloc, std::out_of_range, ...) leaves and ends the process.
template <class Body>
int parse_or_error(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    std::string_view message = error.what();
    if (message.empty() || message.find('\n') != std::string_view::npos) fail("found an error message that is no line");
    if (message.size() > 2000) fail("found an error message of more than 2000 bytes");
    if (error.kind() == ErrorKind::internal) fail(message);
  }
  return 0;
}

}  // namespace nuri::fuzz
