#pragma once

// What the tests of this folder share.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "generate/engine.h"
#include "models/parts/inputs.h"
#include "models/parts/text/llama_decoder.h"
#include "weights/stores.h"

namespace nuri {

// A decoder with random weights, wide enough that its answers vary.
class TinyModel : public CausalLM {
 public:
  explicit TinyModel(Json changes = Json::object(), uint64_t seed = 5)
      : decoder_(WeightView(std::make_shared<TrainingStore>(seed)), config(std::move(changes))) {}

  NamedTensors forward(const NamedTensors& inputs) override {
    return forward_batch(decoder_, decoder_.embed(inputs.at("input_ids")), inputs);
  }
  Limits limits() const override { return decoder_.limits(); }
  nn::CacheShape cache_shape() const override { return decoder_.cache_shape(); }
  at::ScalarType dtype() const override { return decoder_.dtype(); }
  at::Device device() const override { return decoder_.device(); }
  std::vector<DecoderInput> embed(const NamedTensors& inputs) override {
    return split_batch(inputs, decoder_.embed(inputs.at("input_ids")));
  }
  at::Tensor embed_made(const at::Tensor& ids) override { return decoder_.embed(ids); }
  at::Tensor step(const Step& given, nn::KvCache& cache) override {
    Step step = given;
    if (on_step) on_step(step);
    ++steps;
    rows += step.embeddings.size(0);
    return decoder_.step(step, cache);
  }

  bool can_record_steps() const override { return decoder_.can_record_steps(); }

  int64_t steps = 0, rows = 0;
  std::function<void(Step&)> on_step;

 private:
  static LlamaDecoderConfig config(Json changes) {
    Json all = {{"vocab_size", 97},         {"hidden_size", 32},           {"intermediate_size", 48},
                {"num_hidden_layers", 2},   {"num_attention_heads", 4},    {"num_key_value_heads", 2},
                {"initializer_range", 0.3}, {"tie_word_embeddings", true}, {"max_position_embeddings", 256}};
    all.update(changes);
    ConfigReader read(all, "test");
    return changes.contains("sliding_window") ? parse_mistral_config(read) : parse_llama_config(read);
  }
  LlamaDecoder decoder_;
};

inline std::vector<int64_t> prompt(int64_t length, uint64_t seed) {
  CounterRandom random(seed);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < length; ++i) ids.push_back(random.between(0, 96));
  return ids;
}

inline Request request(std::vector<int64_t> ids, int64_t max_tokens, bool greedy = true, uint64_t seed = 0) {
  Request made;
  made.ids = std::move(ids);
  made.sampling.max_tokens = max_tokens;
  made.sampling.greedy = greedy;
  made.sampling.seed = seed;
  return made;
}

inline std::vector<int64_t> alone(TinyModel& model, const Request& request) {
  Engine engine(model);
  auto handle = engine.submit(request);
  engine.run_until_done();
  EXPECT_EQ(engine.cache().free_blocks(), engine.cache().blocks());
  return engine.forget(handle).ids;
}

inline std::string failure(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace nuri
