#include "formats/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/test_support.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A file's bytes out of a header and its data; the length can lie.
std::string file_of(const std::string& header, size_t data_bytes, uint64_t claimed_more = 0) {
  uint64_t length = header.size() + claimed_more;
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + std::string(data_bytes, '\1');
}

SafetensorsHeader parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes.data(), bytes.size())), "f");
}

TEST(DType, NamesAndSizes) {
  for (DType dtype : {DType::F64, DType::BF16, DType::BOOL, DType::U64, DType::F8_E5M2})
    EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
  EXPECT_EQ(size_of(DType::F64), 8u);
  EXPECT_EQ(size_of(DType::BF16), 2u);
  EXPECT_EQ(size_of(DType::F8_E4M3), 1u);
  EXPECT_FALSE(dtype_from_name("f32"));
}

TEST(Safetensors, ReadsInTheOrderOfTheData) {
  auto header = parse(file_of(R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},)"
                              R"("__metadata__":{"format":"pt"},)"
                              R"("a":{"data_offsets":[0,2],"shape":[],"dtype":"F16"},)"
                              R"("e":{"dtype":"I64","shape":[3,0],"data_offsets":[2,2]}}   )",
                              10));
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].elements(), 1);
  EXPECT_EQ(header.tensors[1].name, "e");
  EXPECT_EQ(header.tensors[1].shape, (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(header.tensors[1].size, 0u);
  EXPECT_EQ(header.tensors[2].name, "b");
  EXPECT_EQ(header.tensors[2].offset % 2, header.tensors[0].offset % 2);
  EXPECT_EQ(header.tensors[2].size, 8u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
  EXPECT_TRUE(parse(file_of("{}", 0)).tensors.empty());
}

TEST(Safetensors, RefusesALyingPrefix) {
  EXPECT_THAT(message_of([] { parse(""); }), HasSubstr("f: found 0 bytes"));
  EXPECT_THAT(message_of([] { parse(std::string(7, '\0')); }), HasSubstr("f: found 7 bytes"));
  EXPECT_THAT(message_of([] { parse(std::string(8, '\0')); }), HasSubstr("no '{'"));
  EXPECT_THAT(message_of([] { parse(std::string(64, '\xFF')); }), HasSubstr("truncated"));
  EXPECT_THAT(message_of([] { parse(file_of("{}", 0, 1)); }), HasSubstr("header length of 3 bytes, expected at most"));
  EXPECT_THAT(message_of([] { parse(file_of("{" + std::string(100'000'000, ' ') + "}", 0)); }),
              HasSubstr("expected at most 100000000"));
}

TEST(Safetensors, RefusesABrokenHeader) {
  struct Case {
    std::string header;
    std::string message;
  };
  auto tensor = [](const std::string& inside) { return R"({"a":{)" + inside + "}}"; };
  const std::string dtype = R"("dtype":"F32")", shape = R"("shape":[2])", offsets = R"("data_offsets":[0,8])";
  const Case cases[] = {
      {"{", "no valid JSON"},
      {"[]", "no '{'"},
      {" {}", "no '{'"},
      {"{} x", "no valid JSON"},
      {std::string("{}\0\0", 4), "found a zero at byte 2"},
      {"{\"\xC3\":{}}", "no valid JSON"},
      {R"({"a":1})", "a: found 1, expected an object"},
      {R"({"a":[]})", "a: found a list, expected an object"},
      {R"({"a":null})", "a: found null, expected an object"},
      {R"({"a":{}})", "tensor a: dtype not found"},
      {tensor(dtype + "," + shape), "tensor a: data_offsets not found"},
      {tensor(dtype + "," + offsets), "tensor a: shape not found"},
      {tensor(dtype + "," + shape + "," + offsets + R"(,"x":1)"), "found the key x"},
      {tensor(dtype + "," + dtype + "," + shape + "," + offsets), "found the name dtype twice"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}})",
       "found the name a twice"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "__metadata__: found the name a twice"},
      {R"({"__metadata__":{"a":1}})", "__metadata__: a: found 1, expected a string"},
      {R"({"__metadata__":{"a":{}}})", "__metadata__: a: found an object, expected a string"},
      {tensor(R"("dtype":"F33",)" + shape + "," + offsets), "tensor a: found the dtype F33, expected one of F64"},
      {tensor(R"("dtype":3,)" + shape + "," + offsets), "dtype: found 3, expected a string"},
      {tensor(R"("dtype":["F32"],)" + shape + "," + offsets), "dtype: found a list, expected a string"},
      {tensor(dtype + R"(,"shape":2,)" + offsets), "shape: found 2, expected a list"},
      {tensor(dtype + R"(,"shape":[-1],)" + offsets), "shape: found -1, expected integers"},
      {tensor(dtype + R"(,"shape":[2.0],)" + offsets), "shape: found 2.0, expected integers"},
      {tensor(dtype + R"(,"shape":[[2]],)" + offsets), "shape: found a list"},
      {tensor(dtype + R"(,"shape":[18446744073709551615],)" + offsets), "found 18446744073709551615, expected"},
      {tensor(dtype + R"(,"shape":[4294967296,4294967296],)" + offsets), "expected one that memory can hold"},
      {tensor(dtype + R"(,"shape":[0,4294967296,4294967296],)" + offsets), "expected one that memory can hold"},
      {tensor(dtype + R"(,"shape":[4611686018427387904],)" + offsets), "expected one that memory can hold"},
      {tensor(dtype + R"(,"shape":[)" + fmt::format("{}", fmt::join(std::vector<int>(65, 1), ",")) + "]," + offsets),
       "more than 64 dimensions"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0])"), "found 1 number(s), expected 2"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0,8,9])"), "found 9, expected two"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[-8,0])"), "found -8, expected two"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[8,0])"), "expected a beginning before the end"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0,9])"), "within the 8 bytes of data"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[18446744073709551608,18446744073709551615])"), "within the 8"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[1,8])"), "expected 0 as the beginning"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0,4])"), "expected 8 bytes for the shape [2] of F32"},
      {tensor(dtype + R"(,"shape":[1],"data_offsets":[0,4])"), "found 4 bytes after the last tensor"},
      {"{}", "found 8 bytes after the last tensor"},
      {R"({"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       "tensor b: found the data_offsets [4, 8], expected 5 as the beginning, where the tensor before it ends "
       "(overlap)"},
      {R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       "(gap)"},
      {std::string(100'000, '{'), "no valid JSON"},
      {R"({"a":)" + std::string(100'000, '['), "found a list"},
  };
  for (const auto& one : cases) {
    std::string message = message_of([&] { parse(file_of(one.header, 8)); });
    EXPECT_THAT(message, HasSubstr(one.message)) << one.header.substr(0, 200);
    EXPECT_TRUE(message.starts_with("f: ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(Safetensors, ShowsHostileNamesOnOneShortLine) {
  std::string name = "x\\n\\u001b" + std::string(5000, 'y');
  std::string message = message_of([&] { parse(file_of(R"({")" + name + R"(":1})", 0)); });
  EXPECT_LT(message.size(), 300u);
  EXPECT_EQ(message.find_first_of("\n\x1b"), std::string::npos);
}

TEST(Safetensors, RoundTrip) {
  TestFolder folder;
  const float numbers[] = {1.5f, -2.0f, 3.25f, 0.0f, 1e30f, -1.0f};
  const uint8_t bytes[] = {1, 2, 3};
  const int64_t scalar = -7;
  const std::vector<TensorData> tensors = {{"w", DType::F32, {2, 3}, numbers},
                                           {"step", DType::I64, {}, &scalar},
                                           {"none", DType::BF16, {0, 4}, nullptr},
                                           {"한글\n\"quoted\"", DType::U8, {3}, bytes}};
  write_safetensors(folder / "t.safetensors", tensors, {{"format", "pt"}, {"b", "\"x\""}});
  SafetensorsFile file(folder / "t.safetensors");
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.metadata().at("b"), "\"x\"");
  EXPECT_EQ(file.tensors().front().offset % 64, 0u);
  for (const auto& expected : tensors) {
    const TensorInfo* found = file.find(expected.name);
    ASSERT_NE(found, nullptr) << expected.name;
    EXPECT_EQ(found->dtype, expected.dtype);
    EXPECT_EQ(found->shape, expected.shape);
    ASSERT_EQ(file.data(*found).size(), found->size);
    if (expected.data != nullptr) {
      EXPECT_EQ(std::memcmp(file.data(*found).data(), expected.data, found->size), 0);
    }
  }
  EXPECT_EQ(file.find("absent"), nullptr);
  write_safetensors(folder / "again.safetensors", tensors, {{"b", "\"x\""}, {"format", "pt"}});
  EXPECT_EQ(read_file(folder / "t.safetensors"), read_file(folder / "again.safetensors"));
  // Writing through the map changes no file.
  file.data(*file.find("w"))[0] ^= std::byte{0xFF};
  EXPECT_EQ(read_file(folder / "t.safetensors"), read_file(folder / "again.safetensors"));
}

TEST(Safetensors, WritesNoFileOfAnImpossibleTensor) {
  TestFolder folder;
  const float one = 1;
  auto written = [&](std::vector<TensorData> tensors) {
    return message_of([&] { write_safetensors(folder / "t.safetensors", tensors); });
  };
  EXPECT_THAT(written({{"a", DType::F32, {1}, &one}, {"a", DType::F32, {1}, &one}}), HasSubstr("repeated name"));
  EXPECT_THAT(written({{"__metadata__", DType::F32, {1}, &one}}), HasSubstr("reserved"));
  EXPECT_THAT(written({{"a", DType::F32, {-1}, &one}}), HasSubstr("shape [-1]"));
  EXPECT_THAT(written({{"\xFF", DType::F32, {1}, &one}}), HasSubstr("no UTF-8"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
  EXPECT_THROW(write_safetensors(folder / "no/such/folder/t", {}), Error);
}

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    write("one.safetensors", {{"a", DType::F32, {2}, numbers_}, {"b", DType::F32, {1}, numbers_ + 2}});
    write("two.safetensors", {{"c", DType::F16, {4}, numbers_}});
  }
  void write(const char* name, const std::vector<TensorData>& tensors) {
    write_safetensors(folder_ / name, tensors, {{"from", name}});
  }
  std::string open_with(const std::string& weight_map) {
    folder_.write("model.safetensors.index.json", R"({"metadata":{"total_size":20},"weight_map":)" + weight_map + "}");
    return message_of([&] { Checkpoint::open(folder_.path()); });
  }
  TestFolder folder_;
  const float numbers_[3] = {1, 2, 3};
};

TEST_F(CheckpointTest, OpensShardsOneFileOrAFolder) {
  folder_.write("model.safetensors.index.json",
                R"({"weight_map":{"c":"two.safetensors","a":"one.safetensors","b":"one.safetensors"}})");
  for (const auto& path : {folder_.path(), folder_ / "model.safetensors.index.json"}) {
    Checkpoint checkpoint = Checkpoint::open(path);
    EXPECT_EQ(checkpoint.path(), path);
    EXPECT_EQ(checkpoint.total_bytes(), 20u);
    ASSERT_EQ(checkpoint.tensors().size(), 3u);
    EXPECT_EQ(checkpoint.file_of(*checkpoint.find("c")).filename(), "two.safetensors");
    EXPECT_EQ(checkpoint.metadata().at("from"), "one.safetensors");
    float b = 0;
    std::memcpy(&b, checkpoint.data(*checkpoint.find("b")).data(), sizeof(b));
    EXPECT_EQ(b, 3);
  }
  EXPECT_EQ(Checkpoint::open(folder_ / "two.safetensors").tensors().size(), 1u);
  fs::copy(folder_ / "two.safetensors", folder_ / "model.safetensors");
  EXPECT_EQ(Checkpoint::open(folder_.path()).tensors().size(), 1u);
  EXPECT_THROW(Checkpoint::open(folder_.path()).data({"a", DType::F32, {1}, 0, 4}), Error);
}

TEST_F(CheckpointTest, RefusesAnIndexThatLies) {
  EXPECT_THAT(open_with(R"({"a":"one.safetensors","c":"two.safetensors"})"),
              HasSubstr("one.safetensors: found the tensor b, expected only what model.safetensors.index.json lists"));
  EXPECT_THAT(open_with(R"({"a":"one.safetensors","b":"two.safetensors","c":"two.safetensors"})"),
              HasSubstr("found the tensor b, expected only"));
  EXPECT_THAT(open_with(R"({"a":"one.safetensors","b":"one.safetensors","d":"one.safetensors"})"),
              HasSubstr("found the tensor d listed for one.safetensors"));
  EXPECT_THAT(open_with(R"({"a":"three.safetensors"})"), HasSubstr("three.safetensors: not found"));
  EXPECT_THAT(open_with(R"({"a":3})"), HasSubstr("a: found number, expected a file name"));
  EXPECT_THAT(open_with("{}"), HasSubstr("weight_map: not found"));
  EXPECT_THAT(open_with("[]"), HasSubstr("weight_map: not found"));
  for (const char* shard : {"../one.safetensors", "/etc/passwd", "..", "", "a\\\\b", "one.safetensors\\u0000"})
    EXPECT_THAT(open_with(fmt::format(R"({{"a":"{}"}})", shard)), HasSubstr("without a folder")) << shard;
}

TEST_F(CheckpointTest, SaysWhatIsMissing) {
  EXPECT_THAT(message_of([&] { Checkpoint::open(folder_.path()); }),
              HasSubstr("found no weights, expected model.safetensors or model.safetensors.index.json"));
  EXPECT_THAT(message_of([&] { Checkpoint::open(folder_ / "absent"); }), HasSubstr("absent: not found"));
  folder_.write("pytorch_model.bin", "x");
  EXPECT_THAT(message_of([&] { Checkpoint::open(folder_.path()); }), HasSubstr("found pytorch_model.bin only"));
  EXPECT_THAT(message_of([&] { Checkpoint::open(folder_ / "pytorch_model.bin"); }), HasSubstr("found 1 bytes"));
}

}  // namespace
}  // namespace nuri
