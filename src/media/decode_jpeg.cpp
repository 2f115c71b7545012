// jpeglib.h needs size_t and FILE before it, jerror.h needs jpeglib.h.
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include <csetjmp>
#include <cstring>
#include <new>

#include "base/error.h"
#include "media/codecs.h"
#include "media/orientation.h"

namespace nuri {
namespace {

// libjpeg with its errors as return values. libjpeg is C, so an error leaves it by longjmp: the methods that
// call setjmp hold nothing that needs a destructor.
class JpegReader {
 public:
  JpegReader(Bytes bytes, int max_scans) : max_scans_(max_scans) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    errors_.output_message = [](j_common_ptr) {};
    info_.client_data = this;
    created_ = attempt([&] {
      jpeg_create_decompress(&info_);
      info_.client_data = this;
      jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);
      jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    });
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_header() {
    return created_ && attempt([&] { jpeg_read_header(&info_, TRUE); });
  }

  bool start(J_COLOR_SPACE space) {
    return attempt([&] {
      info_.out_color_space = space;
      progress_.progress_monitor = on_progress;
      info_.progress = &progress_;
      jpeg_start_decompress(&info_);
    });
  }

  bool read_row(uint8_t* row) {
    return attempt([&] { jpeg_read_scanlines(&info_, &row, 1); });
  }

  // Reads on to the end marker: without one, something is missing.
  bool finish() {
    return attempt([&] { jpeg_finish_decompress(&info_); });
  }

  const jpeg_decompress_struct& info() const { return info_; }

  bool out_of_memory() const { return errors_.msg_code == JERR_OUT_OF_MEMORY; }

  std::string reason() const {
    if (end_seen_) return "the file ends early";
    return message_;
  }

  // All APP1 segments that begin with `signature`, joined without it.
  std::string segments(std::string_view signature) const {
    std::string joined;
    for (auto* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
      if (data.starts_with(signature)) joined += data.substr(signature.size());
    }
    return joined;
  }

 private:
  template <class Body>
  bool attempt(Body body) {
    if (setjmp(escape_) != 0) return false;
    body();
    return true;
  }

  static JpegReader& self(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

  [[noreturn]] static void on_error(j_common_ptr info) {
    info->err->format_message(info, self(info).message_);
    std::longjmp(self(info).escape_, 1);
  }

  // libjpeg invents what is missing and only warns. Where picture data are missing or broken, that is an error.
  static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
      case JWRN_JPEG_EOF:
        self(info).end_seen_ = true;
        on_error(info);
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_ARITH_BAD_CODE:
      case JWRN_MUST_RESYNC:
        on_error(info);
      default:
        return;
    }
  }

  static void on_progress(j_common_ptr info) {
    JpegReader& reader = self(info);
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= reader.max_scans_) return;
    std::snprintf(reader.message_, sizeof(reader.message_), "more than %d scans", reader.max_scans_);
    std::longjmp(reader.escape_, 1);
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf escape_;
  char message_[JMSG_LENGTH_MAX] = "";
  int max_scans_;
  bool created_ = false;
  bool end_seen_ = false;
};

// a * b / 255 rounded, as Pillow computes it.
int multiply_255(int a, int b) {
  int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// CMYK as Adobe stores it in JPEG, inverted, to RGB: naively, as Pillow does without a colour profile.
void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb, int64_t width) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    int white = cmyk[3];
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(white - multiply_255(255 - cmyk[c], white));
  }
}

}  // namespace

DecodedImage decode_jpeg(Bytes bytes, const std::string& name, const ImageLimits& limits) {
  JpegReader reader(bytes, limits.max_scans);
  auto check = [&](bool done) {
    if (done) return;
    if (reader.out_of_memory()) throw std::bad_alloc();
    fail_broken_image(name, "JPEG", reader.reason());
  };
  check(reader.read_header());
  const auto& info = reader.info();
  check_image_size(info.image_width, info.image_height, name, limits);
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found a JPEG picture of {} channels, expected 1, 3 or 4", name, info.num_components));

  DecodedImage decoded;
  std::string exif = reader.segments({"Exif\0\0", 6}), xmp = reader.segments({"http://ns.adobe.com/xap/1.0/\0", 29});
  decoded.orientation = read_orientation(std::as_bytes(std::span(exif)), std::as_bytes(std::span(xmp)));
  bool four = info.num_components == 4;
  check(reader.start(four ? JCS_CMYK : JCS_RGB));
  Image& image = decoded.image;
  image = Image(info.output_width, info.output_height, 3);
  std::vector<uint8_t> cmyk(four ? static_cast<size_t>(image.width) * 4 : 0);
  for (int64_t y = 0; y < image.height; ++y) {
    check(reader.read_row(four ? cmyk.data() : image.row(y)));
    if (four) cmyk_to_rgb(cmyk.data(), image.row(y), image.width);
  }
  check(reader.finish());
  return decoded;
}

}  // namespace nuri
