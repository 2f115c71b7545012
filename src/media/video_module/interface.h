#pragma once

// The C interface of libnuri_video.so, which brings FFmpeg. It is opened when a video is first read, so that the
// program itself needs none of FFmpeg's libraries.

#include <stddef.h>
#include <stdint.h>

extern "C" {

enum { NURI_VIDEO_VERSION = 2, NURI_VIDEO_MESSAGE = 256 };

enum NuriVideoResult {
  NURI_VIDEO_FINE = 0,
  NURI_VIDEO_END = 1,          // no frame so late
  NURI_VIDEO_BROKEN = 2,       // not a video, or damaged; `message` says how
  NURI_VIDEO_UNREADABLE = 3,   // no such file, or no right to read it
  NURI_VIDEO_NO_PICTURES = 4,  // sound alone, or nothing
  NURI_VIDEO_UNWRITABLE = 5,
  NURI_VIDEO_TOO_LARGE = 6  // frames of more pixels than allowed; `message` tells their size
};

struct NuriVideoInfo {
  int32_t width, height;  // upright, square pixels not assumed
  double seconds;         // duration; 0: the file does not tell
  double rate;            // frames a second on average; 0: the file does not tell
};

struct NuriVideoApi {
  int32_t version;
  // -> a video for the functions below in *video. `message` has NURI_VIDEO_MESSAGE bytes. No other file is opened, even
  // if this one (a playlist) names some.
  enum NuriVideoResult (*open)(const char* path, int64_t max_pixels, void** video, char* message);
  void (*info)(void* video, struct NuriVideoInfo* info);
  // The frame that is shown at `seconds` after the first: `rgb` takes height * width * 3 bytes, upright; *shown is when
  // it begins. Asking in order of time is fast.
  enum NuriVideoResult (*frame_at)(void* video, double seconds, uint8_t* rgb, double* shown, char* message);
  void (*close)(void* video);

  // A new MP4 file of frames of that size, `rate` of them a second -> a writer for the functions below in *writer.
  enum NuriVideoResult (*create)(const char* path, int32_t width, int32_t height, double rate, void** writer,
                                 char* message);
  // `rgb`: height * width * 3 bytes.
  enum NuriVideoResult (*add_frame)(void* writer, const uint8_t* rgb, char* message);
  // Ends the file; `write` 0: gives up. The writer is gone in any case.
  enum NuriVideoResult (*finish)(void* writer, int32_t write, char* message);
};

// The one symbol of the library.
typedef const struct NuriVideoApi* (*NuriVideoEntry)(void);
}
