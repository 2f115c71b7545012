#include "generate/likelihood.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace nuri {

std::vector<double> log_likelihoods(Engine& engine, std::vector<DecoderInput> prompts,
                                    const std::vector<int64_t>& answer,
                                    const std::optional<nn::CachedSequence>& shared) {
  if (answer.empty()) throw Error(ErrorKind::usage, "the answer: found no token, expected at least one");
  std::vector<Engine::Handle> handles;
  auto forget_all = [&] {
    for (Engine::Handle handle : handles) engine.forget(handle);
  };
  std::vector<double> found;
  try {
    for (DecoderInput& prompt : prompts) {
      Request request;
      request.input = std::move(prompt);
      request.given = answer;
      if (shared) request.prefix = shared->fork();
      handles.push_back(engine.submit(std::move(request)));
    }
    engine.run_until_done();
    for (Engine::Handle handle : handles) found.push_back(engine.generation(handle).log_probability);
  } catch (...) {
    forget_all();
    throw;
  }
  forget_all();
  return found;
}

at::Tensor logits_of_given(Engine& engine, Request request) {
  if (request.given.empty()) throw Error(ErrorKind::usage, "the given tokens: found none, expected at least one");
  auto count = static_cast<int64_t>(request.given.size());
  at::Tensor logits;
  int64_t row = 0;
  request.on_logits = [&](std::span<const float> found) {
    auto width = static_cast<int64_t>(found.size());
    if (row == 0) logits = at::empty({count, width}, at::kFloat);
    std::copy(found.begin(), found.end(), logits.mutable_data_ptr<float>() + row++ * width);
  };
  Engine::Handle handle = engine.submit(std::move(request));
  try {
    engine.run_until_done();
  } catch (...) {
    engine.forget(handle);
    throw;
  }
  engine.forget(handle);
  return logits;
}

int64_t shared_rows(const DecoderInput& a, const DecoderInput& b) {
  if (a.slots || b.slots) return 0;
  int64_t rows = std::min(a.embeddings.size(0), b.embeddings.size(0));
  at::Tensor differs = (a.embeddings.narrow(0, 0, rows) != b.embeddings.narrow(0, 0, rows)).any(1).cpu();
  if (a.positions.defined() != b.positions.defined()) return 0;
  if (a.positions.defined()) {
    at::Tensor moved = a.positions.narrow(-1, 0, rows) != b.positions.narrow(-1, 0, rows);
    differs = differs.logical_or(moved.dim() == 2 ? moved.any(0) : moved);
  } else if (a.shift != b.shift) {
    return 0;
  }
  at::Tensor places = differs.nonzero();
  return places.size(0) == 0 ? rows : places[0].item<int64_t>();
}

}  // namespace nuri
