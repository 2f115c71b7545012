#pragma once

#include <memory>

#include "media/video.h"
#include "models/parts/processors/image_processor.h"

namespace nuri {

struct PixelSize {
  int64_t width, height;
};
// How many pixels a picture may have.
struct PixelBounds {
  int64_t least, most;
};
// Those of the reference's classes.
constexpr PixelBounds kDefaultPictureBounds{56 * 56, 28 * 28 * 1280};
constexpr PixelBounds kDefaultVideoBounds{128 * 28 * 28, 28 * 28 * 768};

// The size nearest to a picture's own whose sides are multiples of `factor` and whose pixels lie within the bounds, as
// the reference rounds. Throws Error(usage) for a side more than 200 times the other.
PixelSize smart_resize(const PixelSize& picture, int64_t factor, const PixelBounds& bounds);

// Qwen2VLImageProcessor, which Qwen2.5-VL uses too: "pixel_values" [P, 3 * F * p * p], the patches of all pictures one
// behind the other with those of a token together, and "image_grid_thw" [N, 3].
// Qwen2VLVideoProcessor: "pixel_values_videos" and "video_grid_thw" alike, F frames in each patch; the last frame
// repeated where they do not come out even. Frames are taken as they come: choosing them is up to who reads the file.
class Qwen2VlPictures : public PictureProcessor {
 public:
  enum class Medium { pictures, videos };
  Qwen2VlPictures(const ConfigReader& reader, Medium medium);
  // The processor file of a folder that tells of the medium. Throws Error(usage) where there is none.
  static Qwen2VlPictures from_folder(const std::filesystem::path& folder, Medium medium);

  PreparedPictures prepare(std::span<const Image> pictures) const override;
  std::vector<NamedArray> prepare_videos(std::span<const Video> videos) const;

  int64_t temporal_patch() const { return temporal_patch_; }
  // By `fps`, `min_frames`, `max_frames` and `temporal_patch_size`.
  const FrameChoice& frames() const { return frames_; }
  // Tokens of item `index`, by the grids that prepare() or prepare_videos() made.
  int64_t tokens_of(const std::vector<NamedArray>& arrays, size_t index) const;

 private:
  struct Grid {
    int64_t time, rows, columns;
    int64_t patches() const { return time * rows * columns; }
  };

  // For frames of that size: one processor for them all.
  ImageProcessor processor_for(int64_t width, int64_t height, int64_t frames) const;
  Grid grid_of(const PictureGeometry& geometry, int64_t frames) const;
  int64_t patch_values() const { return 3 * temporal_patch_ * patch_ * patch_; }
  void check_total(const std::vector<Grid>& grids) const;
  // The pixels [3, H, W] of one frame into its patches; `slot`: which of the frames in a patch it is.
  void cut(const PixelValues& pixels, const Grid& grid, int64_t slot, float* patches) const;

  ImageProcessorConfig pixels_{};
  bool resizes_;
  PixelBounds bounds_;
  int64_t patch_, temporal_patch_, merge_;
  FrameChoice frames_;
  int64_t most_video_tokens_ = 0;  // 0: a video may have as many pixels as its frames come to
};

// For PictureProcessor alone, without a tokenizer.
std::unique_ptr<PictureProcessor> make_qwen2_vl_pictures(const std::filesystem::path& folder);

}  // namespace nuri
