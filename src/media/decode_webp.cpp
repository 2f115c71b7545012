#include <webp/decode.h>
#include <webp/demux.h>

#include <new>

#include "base/error.h"
#include "media/codecs.h"
#include "media/orientation.h"

namespace nuri {
namespace {

const char* reason_of(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "the file ends early";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses an unknown feature";
    case VP8_STATUS_BITSTREAM_ERROR:
    case VP8_STATUS_INVALID_PARAM:
      return "its data are corrupt";
    default:
      return "it cannot be decoded";
  }
}

void check_status(VP8StatusCode status, const std::string& name) {
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  if (status != VP8_STATUS_OK) fail_broken_image(name, "WebP", reason_of(status));
}

class Demuxer {
 public:
  Demuxer(Bytes bytes, const std::string& name) {
    WebPData data{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
    WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
    demuxer_ = WebPDemuxPartial(&data, &state);
    if (demuxer_ == nullptr || state != WEBP_DEMUX_DONE) {
      WebPDemuxDelete(demuxer_);
      bool short_of = state == WEBP_DEMUX_PARSING_HEADER || state == WEBP_DEMUX_PARSED_HEADER;
      fail_broken_image(name, "WebP", short_of ? "the file ends early" : "its chunks are corrupt");
    }
    if (WebPDemuxGetFrame(demuxer_, 1, &frame_) == 0) {
      WebPDemuxDelete(demuxer_);
      fail_broken_image(name, "WebP", "it has no frame");
    }
  }
  ~Demuxer() {
    WebPDemuxReleaseIterator(&frame_);
    WebPDemuxDelete(demuxer_);
  }
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;

  const WebPIterator& frame() const { return frame_; }
  int64_t get(WebPFormatFeature feature) const { return WebPDemuxGetI(demuxer_, feature); }

  std::string chunk(const char* fourcc) const {
    std::string bytes;
    WebPChunkIterator found;
    if (WebPDemuxGetChunk(demuxer_, fourcc, 1, &found) != 0)
      bytes.assign(reinterpret_cast<const char*>(found.chunk.bytes), found.chunk.size);
    WebPDemuxReleaseChunkIterator(&found);
    return bytes;
  }

 private:
  WebPDemuxer* demuxer_;
  WebPIterator frame_{};
};

// Decodes the frame into its place on the canvas; the rest of the canvas stays black (and transparent).
void decode_frame(const WebPIterator& frame, Image& canvas, const std::string& name) {
  bool inside = frame.x_offset >= 0 && frame.y_offset >= 0 && frame.width > 0 && frame.height > 0 &&
                frame.x_offset + int64_t{frame.width} <= canvas.width &&
                frame.y_offset + int64_t{frame.height} <= canvas.height;
  if (!inside) fail_broken_image(name, "WebP", "a frame lies outside the picture");
  WebPDecoderConfig config;
  WebPInitDecoderConfig(&config);
  check_status(WebPGetFeatures(frame.fragment.bytes, frame.fragment.size, &config.input), name);
  if (config.input.width != frame.width || config.input.height != frame.height)
    fail_broken_image(name, "WebP", "its sizes disagree");
  config.output.colorspace = canvas.channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  auto& target = config.output.u.RGBA;
  target.stride = static_cast<int>(canvas.row_bytes());
  target.rgba = canvas.row(frame.y_offset) + int64_t{frame.x_offset} * canvas.channels;
  target.size = static_cast<size_t>(canvas.row_bytes() * (frame.height - 1) + int64_t{frame.width} * canvas.channels);
  VP8StatusCode status = WebPDecode(frame.fragment.bytes, frame.fragment.size, &config);
  WebPFreeDecBuffer(&config.output);
  check_status(status, name);
}

}  // namespace

DecodedImage decode_webp(Bytes bytes, const std::string& name, const ImageLimits& limits, Alpha alpha) {
  WebPBitstreamFeatures features;
  check_status(WebPGetFeatures(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &features), name);
  check_image_size(features.width, features.height, name, limits);
  Demuxer demuxer(bytes, name);
  int64_t width = demuxer.get(WEBP_FF_CANVAS_WIDTH), height = demuxer.get(WEBP_FF_CANVAS_HEIGHT);
  check_image_size(width, height, name, limits);
  DecodedImage decoded;
  decoded.image = Image(width, height, alpha == Alpha::keep && features.has_alpha != 0 ? 4 : 3);
  decode_frame(demuxer.frame(), decoded.image, name);
  std::string exif = demuxer.chunk("EXIF"), xmp = demuxer.chunk("XMP ");
  decoded.orientation = read_orientation(std::as_bytes(std::span(exif)), std::as_bytes(std::span(xmp)));
  return decoded;
}

}  // namespace nuri
