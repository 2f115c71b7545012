#pragma once

#include <map>
#include <string>

#include "base/config_reader.h"
#include "formats/gguf.h"

namespace nuri {

// The tokenizer that a GGUF file tells in its metadata, in the words of a tokenizer.json: byte-level BPE ("gpt2") with
// the pre-tokenizer that `tokenizer.ggml.pre` names, or SentencePiece's BPE ("llama"), whose merges follow from the
// scores of the pieces as transformers derives them (convert_slow_tokenizer.generate_merges). Throws Error(format) for
// lists that do not agree, Error(unsupported) for another kind or an unknown pre-tokenizer.
Json gguf_tokenizer(const GgufMetadata& metadata);

// bos_token, eos_token and the like, those that the file names.
Json gguf_special_tokens(const GgufMetadata& metadata);

// Chat templates by name, the usual one as "default".
std::map<std::string, std::string> gguf_chat_templates(const GgufMetadata& metadata);

}  // namespace nuri
