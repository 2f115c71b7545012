// libnuri_video.so: videos through FFmpeg, behind the C interface of interface.h.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "media/video_module/interface.h"

namespace {

template <class T, void (*kFree)(T**)>
struct Free {
  void operator()(T* pointer) const { kFree(&pointer); }
};
using Format = std::unique_ptr<AVFormatContext, Free<AVFormatContext, avformat_close_input>>;
using Codec = std::unique_ptr<AVCodecContext, Free<AVCodecContext, avcodec_free_context>>;
using Frame = std::unique_ptr<AVFrame, Free<AVFrame, av_frame_free>>;
using Packet = std::unique_ptr<AVPacket, Free<AVPacket, av_packet_free>>;
struct CloseFile {
  void operator()(AVIOContext* file) const { avio_closep(&file); }
};
struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

// Ends a call of the interface.
struct Failure {
  NuriVideoResult result;
  std::string message;
};

[[noreturn]] void fail(NuriVideoResult result, const char* what, int error = 0) {
  char reason[AV_ERROR_MAX_STRING_SIZE] = "";
  if (error != 0) av_strerror(error, reason, sizeof reason);
  throw Failure{result, error != 0 ? std::string(what) + ": " + reason : what};
}

class Video {
 public:
  Video(const char* path, int64_t max_pixels) : max_pixels_(max_pixels) {
    open(path);
    int found = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (found < 0) fail(NURI_VIDEO_NO_PICTURES, "no track of pictures");
    stream_ = format_->streams[found];
    if (stream_->disposition & AV_DISPOSITION_ATTACHED_PIC)
      fail(NURI_VIDEO_NO_PICTURES, "a cover and no track of pictures");
    expect_size(stream_->codecpar->width, stream_->codecpar->height);
    open_codec();
    read_turn();
    if (!decode_next()) fail(NURI_VIDEO_NO_PICTURES, "a track of pictures without a frame");
    first_ = time_of(*next_);
    // Of every frame: whoever reads them has room for these alone.
    width_ = next_->width, height_ = next_->height;
    if (width_ < 1 || height_ < 1) fail(NURI_VIDEO_BROKEN, "frames without a size");
    expect_size(width_, height_);
  }

  NuriVideoInfo info() const {
    NuriVideoInfo info{};
    info.width = turned_sideways() ? height_ : width_;
    info.height = turned_sideways() ? width_ : height_;
    if (stream_->duration > 0)
      info.seconds = static_cast<double>(stream_->duration) * av_q2d(stream_->time_base);
    else if (format_->duration > 0)
      info.seconds = static_cast<double>(format_->duration) / AV_TIME_BASE;
    AVRational rate = stream_->avg_frame_rate.num > 0 ? stream_->avg_frame_rate : stream_->r_frame_rate;
    if (rate.num > 0 && rate.den > 0) info.rate = av_q2d(rate);
    return info;
  }

  // False: no frame so late.
  bool frame_at(double seconds, uint8_t* rgb, double* shown) {
    double wanted = first_ + seconds;
    if (shown_ && wanted < time_of(*shown_)) seek(wanted);
    constexpr double kFar = 4.0;  // beyond the usual distance of key frames, seeking is cheaper than decoding
    if (next_ && wanted > time_of(*next_) + kFar) seek(wanted);
    // The last frame that begins no later; half a tick forgives how times were rounded.
    double slack = 0.5 * av_q2d(stream_->time_base);
    while (next_ && (!shown_ || time_of(*next_) <= wanted + slack)) {
      shown_ = std::move(next_);
      decode_next();
    }
    if (!next_ && shown_ && wanted > time_of(*shown_) + frame_seconds()) return false;
    if (!shown_) return false;
    write_rgb(*shown_, rgb);
    *shown = time_of(*shown_) - first_;
    return true;
  }

 private:
  void open(const char* path) {
    AVIOContext* file = nullptr;
    // A path is no address, whatever it begins with.
    int error = avio_open(&file, (std::string("file:") + path).c_str(), AVIO_FLAG_READ);
    file_.reset(file);
    if (error < 0) fail(NURI_VIDEO_UNREADABLE, "cannot be read", error);
    AVFormatContext* opened = avformat_alloc_context();
    if (opened == nullptr) fail(NURI_VIDEO_BROKEN, "too little memory");
    opened->pb = file;
    // A playlist may name any file of this machine, or an address.
    opened->io_open = [](AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); };
    error = avformat_open_input(&opened, path, nullptr, nullptr);
    if (error == AVERROR(EISDIR)) fail(NURI_VIDEO_UNREADABLE, "cannot be read", error);
    if (error < 0) fail(NURI_VIDEO_BROKEN, "no video that FFmpeg knows", error);
    format_.reset(opened);
    error = find_streams();
    if (error < 0) fail(NURI_VIDEO_BROKEN, "broken", error);
  }

  // Decodes some frames where the container tells too little.
  int find_streams() {
    std::vector<AVDictionary*> options(format_->nb_streams, nullptr);
    for (AVDictionary*& each : options) av_dict_set_int(&each, "max_pixels", max_pixels_, 0);
    int error = avformat_find_stream_info(format_.get(), options.data());
    for (AVDictionary*& each : options) av_dict_free(&each);
    return error;
  }

  void expect_size(int64_t width, int64_t height) const {
    if (width > 0 && height > max_pixels_ / width)
      fail(NURI_VIDEO_TOO_LARGE, ("frames of " + std::to_string(width) + "x" + std::to_string(height)).c_str());
  }

  void open_codec() {
    const AVCodec* decoder = avcodec_find_decoder(stream_->codecpar->codec_id);
    if (decoder == nullptr) fail(NURI_VIDEO_BROKEN, "pictures in a coding that FFmpeg cannot decode");
    codec_.reset(avcodec_alloc_context3(decoder));
    int error = codec_ ? avcodec_parameters_to_context(codec_.get(), stream_->codecpar) : AVERROR(ENOMEM);
    if (error >= 0) {
      codec_->thread_count = 0;
      codec_->max_pixels = max_pixels_;
      codec_->pkt_timebase = stream_->time_base;
      error = avcodec_open2(codec_.get(), decoder, nullptr);
    }
    if (error < 0) fail(NURI_VIDEO_BROKEN, "pictures that cannot be decoded", error);
  }

  // How far a player turns the pictures, in quarters clockwise.
  void read_turn() {
    const auto* matrix =
        reinterpret_cast<const int32_t*>(av_stream_get_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
    if (matrix == nullptr) return;
    double degrees = -av_display_rotation_get(matrix);
    if (std::isnan(degrees)) return;
    quarters_ = ((static_cast<int>(std::lround(degrees / 90)) % 4) + 4) % 4;
  }
  bool turned_sideways() const { return quarters_ % 2 == 1; }

  double time_of(const AVFrame& frame) const {
    int64_t ticks = frame.best_effort_timestamp;
    return ticks == AV_NOPTS_VALUE ? 0 : static_cast<double>(ticks) * av_q2d(stream_->time_base);
  }
  double frame_seconds() const {
    AVRational rate = stream_->avg_frame_rate.num > 0 ? stream_->avg_frame_rate : stream_->r_frame_rate;
    return rate.num > 0 ? 1.0 / av_q2d(rate) : 0.1;
  }

  // The next frame in order of time into next_; false: none follows.
  bool decode_next() {
    next_.reset();
    Frame frame(av_frame_alloc());
    Packet packet(av_packet_alloc());
    if (!frame || !packet) fail(NURI_VIDEO_BROKEN, "too little memory");
    for (;;) {
      int got = avcodec_receive_frame(codec_.get(), frame.get());
      if (got == 0) {
        next_ = std::move(frame);
        return true;
      }
      if (got == AVERROR_EOF) return false;
      if (got != AVERROR(EAGAIN)) fail(NURI_VIDEO_BROKEN, "a frame that cannot be decoded", got);
      int read = av_read_frame(format_.get(), packet.get());
      if (read == AVERROR_EOF) {
        avcodec_send_packet(codec_.get(), nullptr);
        continue;
      }
      if (read < 0) fail(NURI_VIDEO_BROKEN, "broken off", read);
      // What cannot be decoded is left out, as players do; a file of nothing else ends without a frame.
      if (packet->stream_index == stream_->index) avcodec_send_packet(codec_.get(), packet.get());
      av_packet_unref(packet.get());
    }
  }

  // To the last key frame before `seconds`. A container that cannot seek is read on, or anew from its beginning.
  void seek(double seconds) {
    double place = seconds / av_q2d(stream_->time_base);
    if (!(std::abs(place) < 0x1p62)) fail(NURI_VIDEO_BROKEN, "times that no video has");
    auto ticks = static_cast<int64_t>(place);
    if (av_seek_frame(format_.get(), stream_->index, ticks, AVSEEK_FLAG_BACKWARD) < 0) {
      bool back = shown_ && seconds < time_of(*shown_);
      if (!back) return;
      if (av_seek_frame(format_.get(), stream_->index, 0, AVSEEK_FLAG_BACKWARD | AVSEEK_FLAG_BYTE) < 0)
        fail(NURI_VIDEO_BROKEN, "frames asked for out of order of a file that cannot be wound back");
    }
    avcodec_flush_buffers(codec_.get());
    shown_.reset();
    decode_next();
  }

  void write_rgb(const AVFrame& frame, uint8_t* rgb) {
    if (frame.width != width_ || frame.height != height_) fail(NURI_VIDEO_BROKEN, "frames of several sizes");
    auto format = static_cast<AVPixelFormat>(frame.format);
    scaler_.reset(sws_getCachedContext(scaler_.release(), frame.width, frame.height, format, frame.width, frame.height,
                                       AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr,
                                       nullptr, nullptr));
    if (!scaler_) fail(NURI_VIDEO_BROKEN, "pictures in a format that FFmpeg cannot turn to RGB");
    set_colours(frame);
    plain_.resize(static_cast<size_t>(frame.width) * static_cast<size_t>(frame.height) * 3 + 64);
    uint8_t* target[] = {quarters_ == 0 ? rgb : plain_.data(), nullptr, nullptr, nullptr};
    int stride[] = {3 * frame.width, 0, 0, 0};
    sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, target, stride);
    if (quarters_ != 0) turn(plain_.data(), frame.width, frame.height, rgb);
  }

  // The matrix and range that the frame names, else what players assume: BT.709 from 720 lines on.
  void set_colours(const AVFrame& frame) {
    int space = frame.colorspace;
    if (space == AVCOL_SPC_UNSPECIFIED) space = frame.height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    const int* matrix = sws_getCoefficients(space);
    int full = frame.color_range == AVCOL_RANGE_JPEG;
    constexpr int kOne = 1 << 16;
    sws_setColorspaceDetails(scaler_.get(), matrix, full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, kOne, kOne);
  }

  void turn(const uint8_t* from, int64_t width, int64_t height, uint8_t* to) const {
    int64_t out_width = turned_sideways() ? height : width;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x, from += 3) {
        int64_t out_x = quarters_ == 1 ? height - 1 - y : quarters_ == 2 ? width - 1 - x : y;
        int64_t out_y = quarters_ == 1 ? x : quarters_ == 2 ? height - 1 - y : width - 1 - x;
        std::memcpy(to + 3 * (out_y * out_width + out_x), from, 3);
      }
  }

  int64_t max_pixels_;
  std::unique_ptr<AVIOContext, CloseFile> file_;  // longer than what reads it
  Format format_;
  AVStream* stream_ = nullptr;
  Codec codec_;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  Frame shown_, next_;
  int width_ = 0, height_ = 0;  // as stored, before they are turned
  double first_ = 0;
  int quarters_ = 0;
  std::vector<uint8_t> plain_;
};

struct CloseOutput {
  void operator()(AVFormatContext* format) const {
    if (format->pb != nullptr) avio_closep(&format->pb);
    avformat_free_context(format);
  }
};

class Writer {
 public:
  Writer(const char* path, int width, int height, double rate) : width_(width), height_(height) {
    AVFormatContext* opened = nullptr;
    avformat_alloc_output_context2(&opened, nullptr, "mp4", path);
    if (opened == nullptr) fail(NURI_VIDEO_UNWRITABLE, "this FFmpeg writes no MP4");
    format_.reset(opened);
    open_codec(rate);
    stream_ = avformat_new_stream(opened, nullptr);
    if (stream_ == nullptr) fail(NURI_VIDEO_UNWRITABLE, "too little memory");
    stream_->time_base = codec_->time_base;
    stream_->avg_frame_rate = codec_->framerate;
    check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()), "no track of pictures");
    check(avio_open(&opened->pb, path, AVIO_FLAG_WRITE), "cannot be written");
    check(avformat_write_header(opened, nullptr), "cannot be written");
  }

  void add(const uint8_t* rgb) {
    Frame frame(av_frame_alloc());
    if (!frame) fail(NURI_VIDEO_UNWRITABLE, "too little memory");
    frame->format = codec_->pix_fmt, frame->width = codec_->width, frame->height = codec_->height;
    check(av_frame_get_buffer(frame.get(), 0), "too little memory");
    scaler_.reset(sws_getCachedContext(scaler_.release(), width_, height_, AV_PIX_FMT_RGB24, codec_->width,
                                       codec_->height, codec_->pix_fmt, SWS_BICUBIC | SWS_ACCURATE_RND, nullptr,
                                       nullptr, nullptr));
    if (!scaler_) fail(NURI_VIDEO_UNWRITABLE, "pictures that FFmpeg cannot turn to YUV");
    const uint8_t* source[] = {rgb, nullptr, nullptr, nullptr};
    int stride[] = {3 * width_, 0, 0, 0};
    sws_scale(scaler_.get(), source, stride, 0, height_, frame->data, frame->linesize);
    frame->pts = count_++;
    encode(frame.get());
  }

  void finish() {
    encode(nullptr);
    check(av_write_trailer(format_.get()), "cannot be written");
  }

 private:
  static void check(int result, const char* what) {
    if (result < 0) fail(NURI_VIDEO_UNWRITABLE, what, result);
  }

  void open_codec(double rate) {
    const AVCodec* encoder = avcodec_find_encoder_by_name("libx264");
    if (encoder == nullptr) encoder = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (encoder == nullptr) fail(NURI_VIDEO_UNWRITABLE, "this FFmpeg has no encoder for MP4");
    codec_.reset(avcodec_alloc_context3(encoder));
    if (!codec_) fail(NURI_VIDEO_UNWRITABLE, "too little memory");
    codec_->width = width_ + width_ % 2, codec_->height = height_ + height_ % 2;  // colours are stored in pairs
    codec_->framerate = av_d2q(rate, 1 << 16);
    codec_->time_base = av_inv_q(codec_->framerate);
    codec_->pix_fmt = AV_PIX_FMT_YUV420P;
    codec_->bit_rate = 0;
    codec_->global_quality = 4 * FF_QP2LAMBDA;
    codec_->flags |= AV_CODEC_FLAG_QSCALE;
    if (format_->oformat->flags & AVFMT_GLOBALHEADER) codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (codec_->priv_data != nullptr) av_opt_set(codec_->priv_data, "crf", "20", 0);
    check(avcodec_open2(codec_.get(), encoder, nullptr), "pictures of a size that the encoder does not take");
  }

  void encode(const AVFrame* frame) {
    check(avcodec_send_frame(codec_.get(), frame), "a frame that cannot be encoded");
    Packet packet(av_packet_alloc());
    if (!packet) fail(NURI_VIDEO_UNWRITABLE, "too little memory");
    for (;;) {
      int got = avcodec_receive_packet(codec_.get(), packet.get());
      if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return;
      check(got, "a frame that cannot be encoded");
      av_packet_rescale_ts(packet.get(), codec_->time_base, stream_->time_base);
      packet->stream_index = stream_->index;
      check(av_interleaved_write_frame(format_.get(), packet.get()), "cannot be written");
    }
  }

  int width_, height_;
  std::unique_ptr<AVFormatContext, CloseOutput> format_;
  AVStream* stream_ = nullptr;
  Codec codec_;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  int64_t count_ = 0;
};

NuriVideoResult told(const Failure& failure, char* message) {
  std::snprintf(message, NURI_VIDEO_MESSAGE, "%s", failure.message.c_str());
  return failure.result;
}

// No exception leaves the library.
template <class Body>
NuriVideoResult guarded(char* message, const Body& body) {
  try {
    return body();
  } catch (const Failure& failure) {
    return told(failure, message);
  } catch (const std::exception& error) {
    return told({NURI_VIDEO_BROKEN, error.what()}, message);
  }
}

NuriVideoResult open_video(const char* path, int64_t max_pixels, void** video, char* message) {
  return guarded(message, [&] {
    *video = new Video(path, max_pixels);
    return NURI_VIDEO_FINE;
  });
}

void video_info(void* video, NuriVideoInfo* info) { *info = static_cast<Video*>(video)->info(); }

NuriVideoResult video_frame_at(void* video, double seconds, uint8_t* rgb, double* shown, char* message) {
  return guarded(message, [&] {
    return static_cast<Video*>(video)->frame_at(seconds, rgb, shown) ? NURI_VIDEO_FINE : NURI_VIDEO_END;
  });
}

void close_video(void* video) { delete static_cast<Video*>(video); }

NuriVideoResult create_video(const char* path, int32_t width, int32_t height, double rate, void** writer,
                             char* message) {
  return guarded(message, [&] {
    *writer = new Writer(path, width, height, rate);
    return NURI_VIDEO_FINE;
  });
}

NuriVideoResult video_add_frame(void* writer, const uint8_t* rgb, char* message) {
  return guarded(message, [&] {
    static_cast<Writer*>(writer)->add(rgb);
    return NURI_VIDEO_FINE;
  });
}

NuriVideoResult finish_video(void* writer, int32_t write, char* message) {
  std::unique_ptr<Writer> owned(static_cast<Writer*>(writer));
  return guarded(message, [&] {
    if (write != 0) owned->finish();
    return NURI_VIDEO_FINE;
  });
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const NuriVideoApi* nuri_video() {
  static const NuriVideoApi api = {NURI_VIDEO_VERSION, open_video,   video_info,      video_frame_at,
                                   close_video,        create_video, video_add_frame, finish_video};
  av_log_set_level(AV_LOG_QUIET);
  return &api;
}
