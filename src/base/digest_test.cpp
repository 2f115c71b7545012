#include "base/digest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

namespace nuri {
namespace {

// The key of the reference's vectors: bytes 0 to 15.
Digest reference() { return Digest({0x0706050403020100u, 0x0F0E0D0C0B0A0908u}); }

std::vector<unsigned char> first_bytes(size_t count) {
  std::vector<unsigned char> bytes(count);
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(0));
  return bytes;
}

// By `openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16 SIPHASH`, of the first bytes.
TEST(Digest, IsThatOfTheReference) {
  for (auto [count, expected] : {std::pair{0, "A3817F04BA25A8E66DF67214C7550293"},
                                 {1, "DA87C1D86B99AF44347659119B22FC45"},
                                 {7, "A1F1EBBED8DBC153C0B84AA61FF08239"},
                                 {8, "3B62A9BA6258F5610F83E264F31497B4"},
                                 {9, "264499060AD9BAABC47F8B02BB6D71ED"},
                                 {63, "5150D1772F50834A503E069A973FBD7C"}}) {
    auto bytes = first_bytes(static_cast<size_t>(count));
    Digest::Value value = reference().add(bytes.data(), bytes.size()).value();
    std::string found;
    for (uint64_t word : value)
      for (int i = 0; i < 8; ++i) found += fmt::format("{:02X}", (word >> (8 * i)) & 0xFF);
    EXPECT_EQ(found, expected) << count;
  }
}

TEST(Digest, DoesNotDependOnThePieces) {
  auto bytes = first_bytes(100);
  Digest::Value whole = reference().add(bytes.data(), bytes.size()).value();
  for (size_t first = 0; first < 20; ++first)
    for (size_t second = 0; second < 20; ++second) {
      Digest pieces = reference();
      pieces.add(bytes.data(), first).add(bytes.data() + first, second);
      EXPECT_EQ(pieces.add(bytes.data() + first + second, 100 - first - second).value(), whole);
    }
}

TEST(Digest, TellsContentsAndLengthsApart) {
  auto bytes = first_bytes(40);
  Digest::Value whole = Digest().add(bytes.data(), 40).value();
  EXPECT_EQ(Digest().add(bytes.data(), 40).value(), whole);
  EXPECT_NE(Digest().add(bytes.data(), 39).value(), whole);
  for (auto& byte : bytes) {
    byte ^= 1;
    EXPECT_NE(Digest().add(bytes.data(), 40).value(), whole);
    byte ^= 1;
  }
  EXPECT_NE(Digest().add(int64_t{0}).value(), Digest().value());
}

}  // namespace
}  // namespace nuri
