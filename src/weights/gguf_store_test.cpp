#include "weights/gguf_store.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "base/test_support.h"
#include "formats/gguf_blocks.h"
#include "formats/gguf_test_support.h"
#include "kernels/quantized.h"
#include "weights/gguf_codes.h"

namespace nuri {
namespace {

using testing::HasSubstr;

const std::filesystem::path kGolden = std::filesystem::path(NURI_SOURCE_DIR) / "tests/parity/golden/gguf";

// Random blocks whose scales are of float16's usual size.
std::string blocks_of(GgmlType type, int64_t count, at::Generator generator) {
  const int64_t bytes = block_of(type).bytes * count;
  at::Tensor random = at::randint(256, {bytes}, generator, at::TensorOptions().dtype(at::kByte));
  std::string blocks(static_cast<const char*>(random.const_data_ptr()), static_cast<size_t>(bytes));
  std::vector<size_t> scales{0};
  if (type == GgmlType::Q4_1 || type == GgmlType::Q4_K) scales = {0, 2};
  if (type == GgmlType::Q3_K) scales = {108};
  if (type == GgmlType::Q6_K) scales = {208};
  for (int64_t i = 0; i < count; ++i)
    for (size_t at : scales)
      blocks[static_cast<size_t>(i * block_of(type).bytes) + at + 1] = i % 3 == 0 ? 0x15 : '\x92';
  return blocks;
}

class GgufStoreTest : public testing::Test {
 protected:
  // A file of the architecture llama with one tensor besides.
  std::filesystem::path write(const char* name, std::vector<uint64_t> shape, GgmlType type, const std::string& data) {
    GgufBuilder file;
    file.set("general.architecture", "llama").set("llama.attention.head_count", 2u);
    file.tensor(name, std::move(shape), static_cast<uint32_t>(type), data);
    folder_.write("m.gguf", file.build());
    return folder_ / "m.gguf";
  }
  // The matrix as its codes mean it, and as numbers of float32.
  struct Both {
    at::Tensor codes, numbers;
  };
  static Both read(const std::filesystem::path& path, const std::string& name, int64_t n, int64_t k) {
    auto codes = GgufStore(path, {at::kFloat}).codes(name, n, k);
    EXPECT_TRUE(codes.has_value());
    at::Tensor found = at::empty({n, k});
    kernels::dequantize(codes->coding, n, k, codes->bytes.data_ptr(), 0, n, found.data_ptr<float>());
    GgufStore meta(path, {at::kFloat, at::kCPU});
    at::Tensor numbers = meta.take(name, {n, k}, {});
    return {found, numbers};
  }

  TestFolder folder_;
};

TEST_F(GgufStoreTest, CodesMeanWhatTheBlocksMean) {
  at::Generator generator = at::detail::createCPUGenerator(7);
  constexpr int64_t kRows = 20, kColumns = 512;
  for (GgmlType type : {GgmlType::Q4_0, GgmlType::Q4_1, GgmlType::Q5_0, GgmlType::Q8_0, GgmlType::Q3_K, GgmlType::Q4_K,
                        GgmlType::Q6_K, GgmlType::IQ4_NL, GgmlType::IQ4_XS}) {
    const std::string name(block_of(type).name);
    const std::string data = blocks_of(type, kRows * kColumns / block_of(type).elements, generator);
    auto [codes, numbers] = read(write("blk.0.ffn_up.weight", {kColumns, kRows}, type, data),
                                 "model.layers.0.mlp.up_proj.weight", kRows, kColumns);
    at::Tensor greatest = std::get<0>(numbers.view({kRows, -1, 32}).abs().max(-1, true));
    at::Tensor error = (codes - numbers).view({kRows, -1, 32}).abs();
    // Exact but for the last bit of a sum, which is one rounding where ours is a product and a sum; K-quants have
    // scales beyond float16, and Q6_K is rounded to 127 steps of the greatest.
    const double allowed = type == GgmlType::Q6_K                               ? 0.5 / 127 + 0x1p-10
                           : type == GgmlType::Q4_K || type == GgmlType::IQ4_XS ? 0x1p-9
                           : type == GgmlType::Q4_1                             ? 0x1p-22
                                                                                : 0;
    EXPECT_LE((error - allowed * greatest).max().item<double>(), 1e-7 * (allowed > 0)) << name;
  }
}

TEST_F(GgufStoreTest, RowsOfHeadsComeInOrder) {
  std::string data;
  for (float row : {0, 2, 1, 3, 4, 6, 5, 7})  // two heads of four rows: halves alternate
    for (int i = 0; i < 32; ++i) data += GgufBuilder::bytes_of(row);
  auto path = write("blk.3.attn_q.weight", {32, 8}, GgmlType::F32, data);
  at::Tensor found = GgufStore(path, {}).take("model.layers.3.self_attn.q_proj.weight", {8, 32}, {});
  EXPECT_TRUE(found.equal(at::arange(8, at::kFloat).unsqueeze(1).expand({8, 32})));
}

TEST_F(GgufStoreTest, ExpertsComeOneByOne) {
  at::Tensor all = at::arange(3 * 2 * 4, at::kFloat);
  std::string data(static_cast<const char*>(all.const_data_ptr()), static_cast<size_t>(all.nbytes()));
  GgufStore store(write("blk.0.ffn_down_exps.weight", {4, 2, 3}, GgmlType::F32, data), {});
  EXPECT_FALSE(store.has("model.layers.0.mlp.experts.3.w2.weight"));
  for (int64_t i = 0; i < 3; ++i) {
    std::string name = "model.layers.0.mlp.experts." + std::to_string(i) + ".w2.weight";
    EXPECT_THROW(store.expect_all_taken(), Error);
    EXPECT_TRUE(store.take(name, {2, 4}, {}).equal(all.view({3, 2, 4})[i]));
  }
  store.expect_all_taken();
}

TEST_F(GgufStoreTest, NumbersAreOfOneType) {
  std::string half(8, '\0');
  auto path = write("blk.0.ffn_up.weight", {2, 2}, GgmlType::F16, half);
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  EXPECT_EQ(GgufStore(path, {}).take(name, {2, 2}, {}).scalar_type(), at::kBFloat16);
  EXPECT_EQ(GgufStore(path, {at::kHalf}).take(name, {2, 2}, {}).scalar_type(), at::kHalf);
  EXPECT_EQ(GgufStore(path, {at::kFloat}).take(name, {2, 2}, {}).scalar_type(), at::kFloat);
  EXPECT_TRUE(GgufStore(path, {at::kFloat, at::kMeta}).take(name, {2, 2}, {}).is_meta());
  EXPECT_FALSE(GgufStore(path, {}).codes(name, 2, 2).has_value());
}

TEST_F(GgufStoreTest, NothingIsDroppedOrMisread) {
  auto path = write("blk.0.ffn_up.weight", {2, 2}, GgmlType::F32, std::string(16, '\0'));
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  GgufStore store(path, {});
  EXPECT_THAT(message_of([&] {
                store.take(name, {2, 3}, {});
              }),
              HasSubstr("tensor blk.0.ffn_up.weight: found shape [2, 2], expected [2, 3]"));
  EXPECT_THAT(message_of([&] { store.take("lm_head.weight", {2, 3}, {}); }), HasSubstr("no tensor for lm_head.weight"));
  for (const char* unknown : {"blk.0.ffn_up.scale", "blk.x.ffn_up.weight", "output.0.weight", "blk.0.odd.weight", "odd",
                              "blk.0.ffn_up.7.1.weight", "blk", "blk.", "rope_freqs"}) {
    GgufStore other(write(unknown, {2, 2}, GgmlType::F32, std::string(16, '\0')), {});
    EXPECT_THAT(message_of([&] { other.expect_all_taken(); }), HasSubstr(std::string("found the tensor ") + unknown))
        << unknown;
  }
  EXPECT_THAT(message_of([&] {
                GgufStore(write("blk.0.attn_q.weight", {2, 3}, GgmlType::F32, std::string(24, 0)), {});
              }),
              HasSubstr("found 3 rows, expected an even number for each of 2 heads"));
  std::string infinite(34, '\x7C');
  GgufStore broken(write("blk.0.ffn_up.weight", {32, 1}, GgmlType::Q8_0, infinite), {});
  EXPECT_THAT(message_of([&] { broken.codes(name, 1, 32); }),
              HasSubstr("m.gguf: tensor blk.0.ffn_up.weight: found a scale"));
}

TEST_F(GgufStoreTest, AskedCodesAreForNumbersAlone) {
  LoadOptions options;
  options.coding = kernels::Coding::int4_steps;
  GgufStore store(kGolden / "quantised/model.gguf", options);
  const auto coding_of = [&](const std::string& name, int64_t n, int64_t k) { return store.codes(name, n, k)->coding; };
  EXPECT_EQ(coding_of("model.layers.0.mlp.up_proj.weight", 32, 256), kernels::Coding::int4_steps);        // was Q5_1
  EXPECT_EQ(coding_of("model.layers.0.self_attn.o_proj.weight", 256, 16), kernels::Coding::int4_steps);   // was F16
  EXPECT_EQ(coding_of("model.layers.0.self_attn.q_proj.weight", 16, 256), kernels::Coding::int8_groups);  // is Q8_0
}

}  // namespace
}  // namespace nuri
