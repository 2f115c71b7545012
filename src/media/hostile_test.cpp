// Pictures that are none, broken, cut, lying or too large: each is refused in one line, nothing is printed, and
// nothing large is allocated.
#include <gmock/gmock.h>
#include <webp/encode.h>

#include <jpeglib.h>
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "media/golden_pictures.h"

namespace nuri {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::string_literals;

struct Refusal {
  std::optional<ErrorKind> kind;
  std::string message = "decoded";
};

Refusal refusal(const std::string& bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(std::as_bytes(std::span(bytes)), "picture", limits);
    return {};
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("picture"), HasSubstr("expected"), Not(HasSubstr("\n"))));
    return {error.kind(), error.what()};
  }
}

std::string golden(const std::string& file) { return read_file(golden_pictures() / file); }

std::string with(std::string bytes, size_t at, const std::string& patch) {
  return bytes.replace(at, patch.size(), patch);
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string png_chunk(const std::string& type, const std::string& data) {
  std::string body = type + data;
  return big_endian(static_cast<uint32_t>(data.size())) + body + big_endian(checksum(body.data(), body.size()));
}

std::string png_header(uint32_t width, uint32_t height, char depth = 8, char type = 2, char interlace = 0) {
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", big_endian(width) + big_endian(height) + depth + type + '\0' + '\0' + interlace);
}

std::string deflated(const std::string& data) {
  uLongf size = compressBound(data.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(data.data()), data.size());
  packed.resize(size);
  return packed;
}

std::string jpeg_of(int width, int height, int components, std::vector<jpeg_scan_info> scans = {}) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = width, info.image_height = height;
  info.input_components = components;
  info.in_color_space = components == 1 ? JCS_GRAYSCALE : JCS_UNKNOWN;
  jpeg_set_defaults(&info);
  if (!scans.empty()) info.scan_info = scans.data(), info.num_scans = static_cast<int>(scans.size());
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> row(width * components, 99);
  uint8_t* rows[] = {row.data()};
  while (info.next_scanline < info.image_height) jpeg_write_scanlines(&info, rows, 1);
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<char*>(out), size);
  free(out);
  return bytes;
}

TEST(HostilePicture, NotAPicture) {
  struct Case {
    std::string bytes, found;
    ErrorKind kind;
  };
  const Case cases[] = {
      {"", "an empty file", ErrorKind::format},
      {"hello, this is no picture\n", "text", ErrorKind::format},
      {"<!DOCTYPE html><html>404</html>", "an HTML page", ErrorKind::format},
      {"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", ErrorKind::format},
      {"%PDF-1.7", "a PDF file", ErrorKind::format},
      {"GIF89a....", "a GIF picture", ErrorKind::unsupported},
      {"BM......", "a BMP picture", ErrorKind::unsupported},
      {"\0\0\0\x1c"s + "ftypavif", "an AVIF picture", ErrorKind::unsupported},
      {"\0\0\0\x1c"s + "ftypisom", "an MP4 video", ErrorKind::format},
      {"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing", ErrorKind::unsupported},
      {"RIFF\x10\0\0\0WAVEfmt "s, "a RIFF file that is no WebP", ErrorKind::format},
      {"\x01\x02\x03\x04\x05\x06\x07\x08\x09"s, "bytes that begin with 01 02 03 04 05 06 07 08", ErrorKind::format},
      {"\xff"s, "bytes that begin with ff", ErrorKind::format},
  };
  for (const auto& [bytes, found, kind] : cases) {
    Refusal refused = refusal(bytes);
    EXPECT_EQ(refused.kind, kind) << found;
    EXPECT_THAT(refused.message, HasSubstr("found " + found));
  }
}

TEST(HostilePicture, MissingFileAndFolder) {
  EXPECT_THROW(read_image("/nonexistent/picture.png"), Error);
  EXPECT_THROW(read_image("/tmp"), Error);
}

// Every proper beginning of a picture is refused; nothing is filled up with grey.
TEST(HostilePicture, Truncated) {
  for (const auto& entry : std::filesystem::directory_iterator(golden_pictures())) {
    if (entry.path().extension() == ".json") continue;
    std::string whole = read_file(entry.path());
    for (size_t keep = 0; keep < whole.size(); keep += keep < 40 || keep + 24 > whole.size() ? 1 : 97)
      EXPECT_TRUE(refusal(whole.substr(0, keep)).kind) << entry.path() << " cut to " << keep;
  }
  // Cut, but with an end marker.
  std::string jpeg = golden("rgb444.jpg");
  EXPECT_THAT(refusal(jpeg.substr(0, jpeg.size() * 2 / 3) + "\xff\xd9").message, HasSubstr("broken JPEG"));
  // More lines promised than there are: the height lies at 5 bytes behind the frame marker.
  size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, jpeg.npos);
  EXPECT_THAT(refusal(with(jpeg, frame + 5, "\x10\x00"s)).message, HasSubstr("broken JPEG"));
}

// Whatever a bit does, the decoder ends: decoded or refused.
TEST(HostilePicture, FlippedBits) {
  CounterRandom random(7);
  for (const auto& entry : std::filesystem::directory_iterator(golden_pictures())) {
    if (entry.path().extension() == ".json") continue;
    std::string whole = read_file(entry.path());
    for (int round = 0; round < 12; ++round) {
      std::string bytes = whole;
      for (int flips = 0; flips < 1 + round % 4; ++flips)
        bytes[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8));
      refusal(bytes, {.max_pixels = 1'000'000});
    }
  }
}

TEST(HostilePicture, TooLarge) {
  auto expect = [](const std::string& bytes, const ImageLimits& limits = {}) {
    Refusal refused = refusal(bytes, limits);
    EXPECT_EQ(refused.kind, ErrorKind::resource);
    EXPECT_THAT(refused.message, AllOf(HasSubstr("megapixels"), HasSubstr("--max-pixels")));
  };
  std::string idat = png_chunk("IDAT", deflated("\0"s));
  expect(png_header(20000, 20000) + idat);
  expect(png_header(0x7fffffff, 0x7fffffff) + idat);
  expect(png_header(1, 0x7fffffff) + idat);
  std::string jpeg = golden("rgb444.jpg");
  expect(with(jpeg, jpeg.find("\xff\xc0") + 5, "\xff\xdc\xff\xdc"));
  std::string webp = golden("rgba_lossless.webp");  // 14 bits each of width and height, both 16384
  expect(with(webp, webp.find("VP8L") + 9, "\xff\xff\xff\x1f"));
  expect(golden("exif.png"), {.max_pixels = 100});
  // The limit may be raised; then the data are too few.
  EXPECT_THAT(refusal(png_header(12000, 10000) + idat, {.max_pixels = 200'000'000}).message, HasSubstr("broken PNG"));
}

TEST(HostilePicture, PngLies) {
  std::string end = png_chunk("IEND", ""), rows = png_chunk("IDAT", deflated(std::string(7 * 2, '\0')));
  EXPECT_FALSE(refusal(png_header(2, 2) + rows + end).kind);
  const std::string broken[] = {
      png_header(0, 2) + rows + end,
      png_header(2, 0) + rows + end,
      png_header(2, 2, 7) + rows + end,
      png_header(2, 2, 8, 5) + rows + end,
      png_header(2, 2, 8, 3) + rows + end,                           // a palette picture without one
      png_header(2, 2) + end,                                        // no data
      png_header(2, 2) + rows,                                       // no end
      png_header(2, 3) + rows + end,                                 // a row short
      png_header(2, 2) + png_chunk("IDAT", "no zlib stream") + end,  // no deflated data
      png_header(2, 2) + with(rows, 10, "\x55") + end,               // checksum wrong
      png_header(2, 2) + png_chunk("QQQQ", "critical, unknown") + rows + end,
      png_header(2, 2) + "\x7f\xff\xff\xff" + "tEXt",
      png_header(2, 2).substr(0, 20),
  };
  for (const auto& bytes : broken) EXPECT_EQ(refusal(bytes).kind, ErrorKind::format) << (&bytes - broken);
}

// Compressed texts and profiles that would swell a thousandfold are not inflated.
TEST(HostilePicture, PngBombs) {
  std::string bomb = deflated(std::string(8 << 20, 'a'));
  std::string end = png_chunk("IEND", ""), rows = png_chunk("IDAT", deflated(std::string(7 * 2, '\0')));
  std::string chunks = png_chunk("zTXt", "Raw profile type exif\0\0"s + bomb) +
                       png_chunk("iTXt", "XML:com.adobe.xmp\0\1\0\0\0"s + bomb) +
                       png_chunk("iCCP", "profile\0\0"s + bomb) + png_chunk("zTXt", "Comment\0\0"s + bomb);
  EXPECT_FALSE(refusal(png_header(2, 2) + chunks + rows + end).kind);
  std::string many;
  for (int i = 0; i < 20000; ++i) many += png_chunk("tEXt", "a\0b"s);
  EXPECT_FALSE(refusal(png_header(2, 2) + many + rows + end).kind);
}

TEST(HostilePicture, JpegOddities) {
  EXPECT_FALSE(refusal(jpeg_of(9, 7, 1)).kind);
  EXPECT_EQ(refusal(jpeg_of(9, 7, 2)).kind, ErrorKind::unsupported);
  EXPECT_EQ(refusal("\xff\xd8\xff\xd9").kind, ErrorKind::format);
  std::string jpeg = golden("rgb444.jpg");
  size_t frame = jpeg.find("\xff\xc0");
  EXPECT_EQ(refusal(with(jpeg, frame + 5, "\0\0"s)).kind, ErrorKind::format);  // height 0
  EXPECT_EQ(refusal(with(jpeg, frame + 4, "\x0c"s)).kind, ErrorKind::format);  // 12 bits
  EXPECT_EQ(refusal(with(jpeg, frame + 1, "\xc3"s)).kind, ErrorKind::format);  // lossless
}

// Thousands of tiny scans over a large picture would take hours.
TEST(HostilePicture, ProgressiveScanBomb) {
  std::vector<jpeg_scan_info> scans;
  jpeg_scan_info scan{.comps_in_scan = 1, .component_index = {0}, .Ss = 0, .Se = 0, .Ah = 0, .Al = 0};
  scans.push_back(scan);
  for (int i = 1; i < 64; ++i)
    for (int bit = 3; bit >= 0; --bit)
      scans.push_back(
          {.comps_in_scan = 1, .component_index = {0}, .Ss = i, .Se = i, .Ah = bit == 3 ? 0 : bit + 1, .Al = bit});
  std::string bomb = jpeg_of(64, 64, 1, scans);
  EXPECT_THAT(refusal(bomb).message, HasSubstr("more than 100 scans"));
  EXPECT_FALSE(refusal(bomb, {.max_scans = 1000}).kind);
}

TEST(HostilePicture, BrokenMetadataAreIgnored) {
  std::string jpeg = golden("exif6.jpg");
  size_t exif = jpeg.find("Exif") + 6;
  for (const std::string& offset : {"\xff\xff\xff\xff"s, "\0\0\0\0"s})
    for (const std::string& mark : {"II*\0"s, "MM\0*"s, "????"s})
      EXPECT_FALSE(refusal(with(with(jpeg, exif, mark), exif + 4, offset)).kind);
}

TEST(Png, WritesWhatItReads) {
  CounterRandom random(3);
  for (int channels : {1, 3, 4}) {
    Image image(17, 5, channels);
    for (auto& byte : image.pixels) byte = static_cast<uint8_t>(random.next());
    std::string bytes = encode_png(image);
    Image back = decode_image(std::as_bytes(std::span(bytes)), "png", {}, Alpha::keep);
    EXPECT_EQ(back, channels == 1 ? to_rgb(image) : image);
  }
  EXPECT_THROW(encode_png(Image{}), Error);
  EXPECT_THROW(write_png("/nonexistent/folder/out.png", Image(2, 2, 3)), Error);
}

}  // namespace
}  // namespace nuri
