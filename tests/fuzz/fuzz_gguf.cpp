#include <vector>

#include "formats/gguf.h"
#include "formats/gguf_blocks.h"
#include "formats/gguf_config.h"
#include "fuzz.h"
#include "text/gguf_tokenizer.h"
#include "text/tokenizer.h"

// A whole file in memory. Of what is accepted, every tensor lies in the file apart from the others, and has numbers;
// the configuration, the tokenizer and the chat templates that it tells are made, or refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nuri;
  const auto file = std::as_bytes(std::span(data, size));
  std::optional<Gguf> gguf;
  fuzz::parse_or_error([&] { gguf = parse_gguf(file, "input"); });
  if (!gguf) return 0;
  size_t end = 0;
  std::vector<float> row;
  for (const GgufTensor& tensor : gguf->tensors) {
    if (tensor.offset < end || tensor.offset > size || tensor.size > size - tensor.offset)
      fuzz::fail("found tensors that overlap or leave the file");
    end = tensor.offset + tensor.size;
    if (static_cast<size_t>(tensor.rows() * tensor.row_bytes()) != tensor.size) fuzz::fail("found a wrong size");
    row.resize(static_cast<size_t>(tensor.row_elements()));
    for (int64_t i = 0; i < tensor.rows(); ++i)
      dequantize_blocks(tensor.type, file.data() + tensor.offset + i * tensor.row_bytes(), tensor.row_elements(),
                        row.data());
  }
  fuzz::parse_or_error([&] { gguf_config(*gguf, file); });
  fuzz::parse_or_error([&] { interleaved_heads(gguf->metadata); });
  fuzz::parse_or_error([&] { gguf_chat_templates(gguf->metadata); });
  fuzz::parse_or_error([&] { gguf_special_tokens(gguf->metadata); });
  fuzz::parse_or_error([&] {
    const Tokenizer tokenizer = Tokenizer::from_json(gguf_tokenizer(gguf->metadata), "input");
    tokenizer.decode(tokenizer.encode("Hello, a \xED\x95\x9C\xEA\xB8\x80 1234\n"));
  });
  return 0;
}
