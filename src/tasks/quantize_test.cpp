#include "tasks/quantize.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/config_reader.h"
#include "base/report.h"
#include "base/test_support.h"
#include "models/registry.h"
#include "tasks/inspect.h"
#include "weights/packing.h"
#include "weights/tensor_file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using kernels::Coding;
using testing::HasSubstr;

const fs::path kGolden = fs::path(NURI_SOURCE_DIR) / "tests/parity/golden/models";

class QuantizeTest : public testing::TestWithParam<std::string> {
 protected:
  ~QuantizeTest() override { clear_interrupt(); }
  std::string out() const { return folder_ / "out"; }
  QuantizeRequest request(const std::string& golden, const std::string& weights) const {
    QuantizeRequest request;
    request.model = kGolden / golden, request.output = out(), request.weights = weights;
    return request;
  }
  TestFolder folder_;
};

using Change = std::function<void(const std::string& name, at::Tensor& tensor)>;

// A copy of a golden model in `folder`, its weights in bfloat16 and then changed.
fs::path in_bfloat16(const std::string& golden, const fs::path& folder, const Change& change = {}) {
  fs::copy(kGolden / golden, folder / golden);
  std::vector<NamedTensor> weights;
  for (auto& [name, tensor] : read_tensors(kGolden / golden / "model.safetensors")) {
    at::Tensor& copy = weights.emplace_back(NamedTensor{name, tensor.to(at::kBFloat16)}).tensor;
    if (change) change(name, copy);
  }
  write_tensors(folder / golden / "model.safetensors", weights);
  return folder / golden;
}

// Takes neighbours, in rows and in columns, too far apart for 12 bits.
void spread(at::Tensor matrix) {
  at::Tensor far = at::arange(matrix.size(0)).unsqueeze(1) + at::arange(matrix.size(1));
  matrix.mul_(at::pow(2.0, -far.remainder(60)));
}

NamedTensors run(const fs::path& folder, const fs::path& inputs, const LoadOptions& options) {
  at::NoGradGuard no_grad;
  OpenedModel opened = open_model(folder, options);
  return opened.model->forward(read_tensors(inputs));
}

// The same codes, so the same outputs to the last bit, and the same parameters in as many bytes as files hold.
TEST_P(QuantizeTest, AFileMeansWhatRoundingAtLoadMeans) {
  for (const auto& [weights, coding] : {std::pair{"int8", Coding::int8_rotated}, {"int4", Coding::int4_steps}}) {
    SCOPED_TRACE(weights);
    QuantizeRequest asked = request(GetParam(), weights);
    asked.output += weights;
    QuantizeReport report;
    std::string refused = message_of([&] { report = quantize(asked); });
    if (refused != "no error") {
      EXPECT_THAT(refused, HasSubstr("found no matrix to pack"));
      EXPECT_FALSE(fs::exists(asked.output));
      continue;
    }
    LoadOptions rounded;
    rounded.coding = coding;
    fs::path inputs = kGolden / GetParam() / "inputs.safetensors";
    NamedTensors expected = run(asked.model, inputs, rounded), found = run(asked.output, inputs, {});
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, tensor] : expected) EXPECT_TRUE(tensor.equal(found.at(name))) << name;
    Json told = parse_json(inspect({.model = asked.output}), "inspect");
    EXPECT_EQ(told["parameters"]["total"], report.all_parameters);
    EXPECT_EQ(told["memory"]["weights"], report.bytes);
    EXPECT_EQ(told["parameters"]["total"],
              parse_json(inspect({.model = asked.model}), "inspect")["parameters"]["total"]);
  }
}

void expect_near(const NamedTensors& found, const NamedTensors& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    at::Tensor exact = tensor.to(at::kDouble), off = (found.at(name).to(at::kDouble) - exact).abs();
    if (tensor.numel() == 0) continue;
    EXPECT_LE(off.max().item<double>(), tolerance * exact.abs().max().item<double>()) << name;
  }
}

// 12 bits are the same numbers, in a file and at load.
TEST_P(QuantizeTest, BFloat16InTwelveBitsStaysWhatItIs) {
  QuantizeRequest asked = request(GetParam(), "bf12");
  asked.model = in_bfloat16(GetParam(), folder_);
  QuantizeReport report;
  std::string refused = message_of([&] { report = quantize(asked); });
  if (refused != "no error") {
    EXPECT_THAT(refused, HasSubstr("found no matrix to pack"));
    return;
  }
  EXPECT_EQ(report.unfit, 0);
  LoadOptions native, packed;
  native.dtype = packed.dtype = at::kFloat;
  packed.coding = Coding::bfloat12;
  fs::path inputs = kGolden / GetParam() / "inputs.safetensors";
  NamedTensors found = run(asked.output, inputs, native);
  expect_near(found, run(asked.model, inputs, packed), 0);
  expect_near(found, run(asked.model, inputs, native), 1e-5);
  Json told = parse_json(inspect({.model = asked.output}), "inspect");
  EXPECT_EQ(told["parameters"]["total"], report.all_parameters);
  EXPECT_EQ(told["memory"]["weights"], report.bytes);
  EXPECT_EQ(told["codes"]["bfloat12"]["parameters"], report.parameters);
  EXPECT_EQ(told["dtype"], "bfloat16");
}

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGolden)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}
INSTANTIATE_TEST_SUITE_P(Golden, QuantizeTest, testing::ValuesIn(golden_names()),
                         [](const auto& info) { return info.param; });

// What a GPU does with the codes of a folder: libtorch's own products of 4 bits and of 8 in rows, numbers for the rest.
TEST(QuantizeForAGpu, WeightOnlyProductsGiveTheSameLogits) {
  TestFolder folder;
  for (const char* golden : {"llama3", "mixtral", "llama4", "opt", "llava_clip_llama"})
    for (const char* weights : {"native", "int8", "int4"}) {
      SCOPED_TRACE(std::string(golden) + " " + weights);
      const fs::path source = kGolden / golden, inputs = source / "inputs.safetensors";
      LoadOptions ours, theirs;
      const bool eight = weights == std::string("int8");
      ours.coding = eight ? Coding::int8_rows : Coding::int4_steps;
      theirs.coding = eight ? Coding::int8_rotated : Coding::int4_steps, theirs.weight_only = true;
      fs::path packed = source;
      if (weights == std::string("native")) {  // codes of a folder in place of codes made while it is read
        QuantizeRequest request;
        request.model = source, request.output = packed = folder / golden, request.weights = "int4";
        quantize(request);
        ours.coding = theirs.coding = {};
      }
      at::Tensor expected = run(packed, inputs, ours).at("logits"), found = run(packed, inputs, theirs).at("logits");
      EXPECT_FALSE(found.equal(expected));
      at::Tensor rows = std::get<0>((found - expected).abs().amax(-1).flatten().sort());
      // Of one row a router may choose another expert, where two are as good as equal.
      const bool routed = golden == std::string("mixtral") || golden == std::string("llama4");
      EXPECT_LT(rows[rows.numel() - (routed ? 2 : 1)].item<double>(), 6e-2 * expected.abs().max().item<double>());
    }
}

class Quantize : public QuantizeTest {};
INSTANTIATE_TEST_SUITE_P(Golden, Quantize, testing::Values("llama3"));

std::map<std::string, kernels::Coding> codings(const fs::path& folder) {
  std::map<std::string, kernels::Coding> found;
  Json config = read_json_file(folder / "config.json");
  for (const Json& group : config["quantization_config"]["matrices"])
    for (const auto& [name, shape] : group["shapes"].items())
      for (Coding coding : {Coding::int8_rotated, Coding::int4_steps, Coding::bfloat12})
        if (group["coding"] == name_of(coding)) found[name] = coding;
  return found;
}

TEST_P(Quantize, WhatIsKept) {
  QuantizeRequest asked = request(GetParam(), "int4");
  asked.keep = {"model.layers.0.mlp.down_proj.weight=int8", "*.mlp.*=bf16"};
  quantize(asked);
  auto found = codings(asked.output);
  EXPECT_EQ(found.at("model.layers.0.mlp.down_proj.weight"), Coding::int8_rotated);
  EXPECT_EQ(found.at("model.layers.0.self_attn.q_proj.weight"), Coding::int4_steps);
  EXPECT_EQ(found.at("model.embed_tokens.weight"), Coding::int8_rotated);
  EXPECT_FALSE(found.contains("model.layers.0.mlp.up_proj.weight"));
  EXPECT_FALSE(found.contains("model.norm.weight"));
  asked.output += "2";
  asked.keep = {"model.norm.weight=bf16"};
  EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("model.norm.weight=bf16, which fits no matrix"));
  asked.keep = {"*=int3"};
  EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("*=int3, expected PATTERN=bf16 or PATTERN=int8"));
  EXPECT_FALSE(fs::exists(asked.output));
}

// A matrix that 12 bits have no room for, and one of another type, stay in numbers beside others.
TEST_P(Quantize, WhatTwelveBitsDoNotHold) {
  const std::string far = "model.layers.0.mlp.up_proj.weight", wide = "model.layers.1.self_attn.k_proj.weight";
  QuantizeRequest asked = request(GetParam(), "bf12");
  asked.model = in_bfloat16(GetParam(), folder_, [&](const std::string& name, at::Tensor& tensor) {
    if (name == far) spread(tensor);
    if (name == wide) tensor = tensor.to(at::kFloat);
  });
  QuantizeReport report = quantize(asked);
  EXPECT_EQ(report.unfit, 2);
  auto found = codings(asked.output);
  EXPECT_EQ(static_cast<int64_t>(found.size()), report.matrices);
  EXPECT_EQ(found.at("model.layers.0.mlp.gate_proj.weight"), Coding::bfloat12);
  EXPECT_EQ(found.at("model.embed_tokens.weight"), Coding::bfloat12);
  auto source = read_tensors(fs::path(asked.model) / "model.safetensors"),
       written = read_tensors(fs::path(asked.output) / "model.safetensors");
  for (const std::string& name : {far, wide}) {
    EXPECT_FALSE(found.contains(name));
    EXPECT_EQ(written.at(name).scalar_type(), source.at(name).scalar_type());
    EXPECT_TRUE(written.at(name).equal(source.at(name)));
  }
  LoadOptions native;
  native.dtype = at::kFloat;
  fs::path inputs = kGolden / GetParam() / "inputs.safetensors";
  expect_near(run(asked.output, inputs, native), run(asked.model, inputs, native), 1e-5);

  asked.output += "2";
  asked.keep = {"*.mlp.down_proj.*=int8", "*.mlp.*=bf16"};
  EXPECT_EQ(quantize(asked).unfit, 1);
  found = codings(asked.output);
  EXPECT_EQ(found.at("model.layers.0.mlp.down_proj.weight"), Coding::int8_rotated);
  EXPECT_EQ(found.at("model.layers.0.self_attn.q_proj.weight"), Coding::bfloat12);
  EXPECT_FALSE(found.contains("model.layers.0.mlp.gate_proj.weight"));
}

// Each part of a tensor that holds all experts is in codes or in numbers by itself.
TEST(QuantizeExperts, OneThatTwelveBitsDoNotHold) {
  for (const char* golden : {"mixtral_together", "llama4_text"}) {
    SCOPED_TRACE(golden);
    TestFolder folder;
    int64_t tensors = 0;
    QuantizeRequest asked;
    asked.model = in_bfloat16(golden, folder, [&](const std::string&, at::Tensor& tensor) {
      if (tensor.dim() != 3) return;
      spread(tensor[1]);
      ++tensors;
    });
    asked.output = folder / "out", asked.weights = "bf12";
    QuantizeReport report = quantize(asked);
    EXPECT_EQ(report.unfit, tensors / 2 * 3);  // gate, up and down
    int64_t in_codes = 0, in_numbers = 0;
    auto found = codings(asked.output);
    for (const auto& [name, tensor] : read_tensors(folder / "out/model.safetensors")) {
      EXPECT_NE(tensor.dim(), 3) << name;
      in_codes += name.ends_with("experts.0.w1.weight") && found.contains(name);
      in_numbers += name.ends_with("experts.1.w1.weight") && tensor.scalar_type() == at::kBFloat16;
    }
    EXPECT_EQ(in_codes, tensors / 2);
    EXPECT_EQ(in_numbers, tensors / 2);
    LoadOptions native, packed;
    native.dtype = packed.dtype = at::kFloat;
    packed.coding = Coding::bfloat12;
    fs::path inputs = kGolden / golden / "inputs.safetensors";
    NamedTensors outputs = run(asked.output, inputs, native);
    expect_near(outputs, run(asked.model, inputs, native), 1e-5);
    expect_near(outputs, run(asked.model, inputs, packed), 1e-5);
  }
}

TEST_P(Quantize, NothingThatTwelveBitsHold) {
  QuantizeRequest asked = request(GetParam(), "bf12");
  EXPECT_THAT(message_of([&] { quantize(asked); }),
              HasSubstr("llama3: found no matrix that fits 12 bits (of 15, 0 in bfloat16), expected some in bfloat16"));
  asked.model = in_bfloat16(GetParam(), folder_, [&](const std::string&, at::Tensor& tensor) {
    if (tensor.dim() == 2) spread(tensor);
  });
  EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("(of 15, 15 in bfloat16)"));
  EXPECT_FALSE(fs::exists(asked.output));
  EXPECT_FALSE(fs::exists(asked.output + ".partial"));
}

// Asks for an end once so many weights are done.
class Interrupter : public ReportSink {
 public:
  explicit Interrupter(int64_t at, std::string task = "quantising") : at_(at), task_(std::move(task)) {
    set_report_sink(this);
  }
  ~Interrupter() override { set_report_sink(nullptr); }
  void warn(std::string_view) override {}
  void progress(std::string_view task, int64_t done, int64_t, std::string_view) override {
    if (done == at_ && task == task_) request_interrupt();
  }

 private:
  int64_t at_;
  std::string task_;
};

TEST_P(Quantize, GoesOnWhereItWasInterrupted) {
  QuantizeRequest asked = request(GetParam(), "int8");
  asked.shard_bytes = 1;  // a file for each weight
  {
    Interrupter interrupter(3);
    EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("interrupted"));
  }
  clear_interrupt();
  EXPECT_FALSE(fs::exists(out()));
  QuantizeReport report = quantize(asked);
  EXPECT_GE(report.shards_there_before, 3);
  EXPECT_FALSE(fs::exists(out() + ".partial"));

  QuantizeRequest whole = request(GetParam(), "int8");
  whole.output += "-whole";
  EXPECT_EQ(quantize(whole).shards, 1);
  fs::path inputs = kGolden / GetParam() / "inputs.safetensors";
  EXPECT_TRUE(run(out(), inputs, {}).at("logits").equal(run(whole.output, inputs, {}).at("logits")));
}

TEST_P(Quantize, GoesOnInTwelveBits) {
  QuantizeRequest asked = request(GetParam(), "bf12");
  asked.model = in_bfloat16(GetParam(), folder_, [](const std::string& name, at::Tensor& tensor) {
    if (name.ends_with("0.self_attn.q_proj.weight")) spread(tensor);
  });
  asked.shard_bytes = 1;
  for (const char* task : {"checking", "quantising"}) {
    Interrupter interrupter(3, task);
    EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("interrupted"));
    clear_interrupt();
    EXPECT_EQ(fs::exists(out() + ".partial"), task == std::string("quantising"));  // before, nothing was written
  }
  QuantizeReport report = quantize(asked);
  EXPECT_GE(report.shards_there_before, 3);
  EXPECT_EQ(report.unfit, 1);
  LoadOptions native;
  native.dtype = at::kFloat;
  fs::path inputs = kGolden / GetParam() / "inputs.safetensors";
  expect_near(run(out(), inputs, native), run(asked.model, inputs, native), 1e-5);
}

TEST_P(Quantize, AnotherPlanBeginsAnew) {
  QuantizeRequest asked = request(GetParam(), "int8");
  asked.shard_bytes = 1;
  {
    Interrupter interrupter(3);
    EXPECT_THROW(quantize(asked), Error);
  }
  clear_interrupt();
  asked.weights = "int4";
  EXPECT_EQ(quantize(asked).shards_there_before, 0);
}

TEST_P(Quantize, NeverOverWhatIsThere) {
  QuantizeRequest asked = request(GetParam(), "int8");
  make_folder(out());
  write_file_atomically(out() + "/a", "mine");
  EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("found something there already"));
  fs::remove_all(out());
  make_folder(out() + ".partial");
  write_file_atomically(out() + ".partial/a", "mine");
  EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("found a folder without plan.json"));
  EXPECT_EQ(read_file(out() + ".partial/a"), "mine");
  fs::remove_all(out() + ".partial");
  asked.output += "/";  // as a shell completes it
  quantize(asked);
  EXPECT_TRUE(fs::exists(out() + "/config.json"));

  asked.model = out();
  asked.output = folder_ / "twice";
  EXPECT_THAT(message_of([&] { quantize(asked); }), HasSubstr("found quantization_config"));
  LoadOptions rounded;
  rounded.coding = Coding::int8_rotated;
  EXPECT_THAT(message_of([&] { open_model(out(), rounded); }), HasSubstr("found matrices in codes already"));
}

}  // namespace
}  // namespace nuri
