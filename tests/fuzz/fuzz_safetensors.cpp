#include "formats/safetensors.h"
#include "formats/safetensors_names.h"
#include "fuzz.h"

// The header of a file that lies in memory; of what is accepted, every tensor must lie where it says.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  return fuzz::parse_or_error([&] {
    auto header = parse_safetensors(std::as_bytes(std::span(data, size)), "input");
    size_t end = size;
    for (auto tensor = header.tensors.rbegin(); tensor != header.tensors.rend(); ++tensor) {
      if (tensor->offset > end || tensor->size != end - tensor->offset) fuzz::fail("found tensors that do not tile");
      if (safetensors::byte_size(tensor->dtype, tensor->shape) != tensor->size) fuzz::fail("found a wrong size");
      end = tensor->offset;
    }
  });
}
