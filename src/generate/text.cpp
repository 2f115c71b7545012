#include "generate/text.h"

#include "base/error.h"

namespace nuri {

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops, bool skip_special,
                       TextCallback on_text)
    : decoder_(tokenizer, skip_special), stops_(std::move(stops)), on_text_(std::move(on_text)) {}

void TextStream::show(const std::string& piece) {
  if (piece.empty()) return;
  text_ += piece;
  if (on_text_) on_text_(piece);
}

bool TextStream::push(int64_t id) {
  show(stops_.push(decoder_.push(static_cast<int32_t>(id))));
  return !stops_.matched();
}

void TextStream::finish() {
  if (!stops_.matched()) show(stops_.push(decoder_.finish()));
  show(stops_.finish());
}

TextAnswer generate_text(Engine& engine, const Tokenizer& tokenizer, TextRequest request) {
  TextStream stream(tokenizer, request.request.sampling.stop, request.skip_special, std::move(request.on_text));
  request.request.on_token = [&stream](int64_t id) { return stream.push(id); };
  Engine::Handle handle = engine.submit(std::move(request.request));
  try {
    while (engine.generation(handle).finish == FinishReason::running) engine.run_step();
    stream.finish();
  } catch (const Error& error) {
    Generation generation = engine.forget(handle);
    if (error.kind() != ErrorKind::interrupted) throw;
    stream.finish();
    return {stream.text(), std::move(generation)};
  } catch (...) {
    engine.forget(handle);
    throw;
  }
  return {stream.text(), engine.forget(handle)};
}

}  // namespace nuri
