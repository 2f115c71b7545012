#include "kernels/cpu.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"

namespace nuri::kernels {
namespace {

TEST(Cpu, ChoosesTheBestSetOrTheForcedOne) {
  CpuFeatures features;
  EXPECT_EQ(choose_isa(features, ""), Isa::scalar);
  features.avx2 = true;
  EXPECT_EQ(choose_isa(features, ""), Isa::avx2);
  EXPECT_EQ(choose_isa(features, "scalar"), Isa::scalar);
  features.avx512 = true;
  EXPECT_EQ(choose_isa(features, ""), Isa::avx512);
  EXPECT_EQ(choose_isa(features, "avx2"), Isa::avx2);
  features.avx512_vnni = true;
  EXPECT_EQ(choose_isa(features, ""), Isa::avx512_vnni);
  features.avx512_bf16 = true;
  EXPECT_EQ(choose_isa(features, ""), Isa::avx512_bf16);
  features.amx_bf16 = true;
  EXPECT_EQ(choose_isa(features, ""), Isa::amx);
  EXPECT_EQ(choose_isa(features, "avx512"), Isa::avx512);
}

TEST(Cpu, TilesNeedProductsOfBFloat16) {
  EXPECT_FALSE(has_tiles(Isa::scalar));
  EXPECT_FALSE(has_tiles(Isa::avx512_vnni));
  EXPECT_TRUE(has_tiles(Isa::avx512_bf16));
  EXPECT_TRUE(has_tiles(Isa::amx));
}

TEST(Cpu, RefusesASetThatIsUnknownOrMissing) {
  CpuFeatures features;
  features.avx2 = true;
  for (const char* forced : {"avx512", "sse9", "AVX2", " "}) {
    try {
      choose_isa(features, forced);
      ADD_FAILURE() << forced << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_EQ(std::string(error.what()),
                "NURI_ISA: found \"" + std::string(forced) + "\", expected one that this processor has: scalar, avx2");
    }
  }
}

// A weak symbol (an inline function or a template that was not inlined) in a file compiled for one instruction set may
// replace the same symbol of every other file, and then stop on a processor without that set.
TEST(Cpu, FilesOfOneInstructionSetHoldNoWeakSymbols) {
  const std::filesystem::path folder =
      std::filesystem::path(NURI_BINARY_DIR) / "CMakeFiles/nuri_plain.dir/src/kernels/isa";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".o") continue;
    ++files;
    const std::string command = "nm -C '" + entry.path().string() + "'";
    std::unique_ptr<FILE, int (*)(FILE*)> output(popen(command.c_str(), "r"), pclose);
    ASSERT_TRUE(output);
    std::array<char, 4096> line;
    int symbols = 0;
    while (std::fgets(line.data(), line.size(), output.get())) {
      const std::string text(line.data());
      ASSERT_GT(text.size(), 19u) << text;
      ++symbols;
      if (text.find(" DW.ref.") != std::string::npos) continue;  // a pointer, no code
      EXPECT_EQ(std::string("WwVvu").find(text[17]), std::string::npos) << entry.path().filename() << ": " << text;
    }
    EXPECT_GT(symbols, 0) << "nm says nothing of " << entry.path();
  }
  EXPECT_GE(files, 9);
}

}  // namespace
}  // namespace nuri::kernels
