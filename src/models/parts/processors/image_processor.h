#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/config_reader.h"
#include "media/image.h"
#include "media/resize.h"

namespace nuri {

// What a processor did to one picture: padded it, resized the padded picture, cut (or padded) that to the
// output. Coordinates are pixel edges: a picture spans 0 to its width.
struct PictureGeometry {
  int64_t source_width, source_height;
  int64_t pad_left, pad_top;              // before the picture, in source pixels
  int64_t padded_width, padded_height;    // source pixels
  int64_t resized_width, resized_height;  // output pixels
  int64_t crop_left, crop_top;            // where the output begins in the resized picture; negative: zeros
  int64_t output_width, output_height;    // output pixels

  struct Point {
    double x, y;
  };
  // A point of the output in source pixels (perhaps outside the picture), and back.
  Point to_source(Point output) const;
  Point to_output(Point source) const;
};

// Pictures as an encoder takes them: [N, 3, H, W], float32, row-major.
struct PixelValues {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// A tensor that a processor makes, under the name of the reference's `forward` argument; row-major, free of torch.
struct NamedArray {
  std::string name;
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<int64_t>> values;
};

// What a model's processor makes of pictures.
struct PreparedPictures {
  std::vector<NamedArray> arrays;         // "pixel_values" and what goes with them
  std::vector<PictureGeometry> geometry;  // of each picture, to bring boxes back to its own pixels
};

// Pictures -> tensors, as one family's image processor in the reference makes them.
class PictureProcessor {
 public:
  virtual ~PictureProcessor() = default;
  // Throws Error(usage) for pictures that cannot go together, Error(resource) for absurd ones.
  virtual PreparedPictures prepare(std::span<const Image> pictures) const = 0;
};

// Laid over white, as Pillow's alpha_composite does.
Image over_white(const Image& image);

// The sizes that `size` of a processor file may give, one of: a fixed one (height, width); the shorter side,
// perhaps with a bound on the longer; or the largest that fits into (max_height, max_width).
struct ResizeRule {
  std::optional<int64_t> height, width, shortest_edge, longest_edge, max_height, max_width;
};

struct ImageProcessorConfig {
  std::string type;  // "CLIPImageProcessor", without the endings Fast and Pil
  bool cuts_tiles;   // a family's own processor cuts pictures into tiles first; each tile then goes this way
  bool do_convert_rgb, do_resize, do_center_crop, do_rescale, do_normalize;
  bool pad_to_square;  // LLaVA's do_pad: before resizing, with the mean colour
  bool pad_batch;      // the others' do_pad: afterwards, with zeros to the right and below
  ResizeRule size;
  Resample resample;
  ResizeStyle style = ResizeStyle::pillow;
  int64_t crop_height, crop_width;
  std::optional<std::array<int64_t, 2>> pad_size;  // height, width; absent: the largest of the batch
  double rescale_factor;
  std::array<double, 3> mean, std;
  std::array<uint8_t, 3> background;
};

// What a class of the reference assumes where a file leaves it out.
struct PixelDefaults {
  std::array<double, 3> mean, std;
  int64_t resample;  // Pillow's number
  bool convert_rgb;
};
// The part that all processors share: do_convert_rgb, resample, and how bytes become numbers.
void read_pixel_options(const ConfigReader& reader, const PixelDefaults& defaults, ImageProcessorConfig& config);

// The object about pictures: `image_processor` of processor_config.json (as transformers 5 writes it), else
// preprocessor_config.json. Throws Error(usage) where there is neither.
ConfigReader read_processor_file(const std::filesystem::path& folder);

// Reads the object of a processor file. `type` is used when the file names none.
// Throws Error(unsupported) for an unknown processor, with the known ones.
ImageProcessorConfig read_image_processor_config(const ConfigReader& reader, const std::string& type = "");

// Tiles of one size, row by row, out of a picture of whole tiles, behind those of `tiles`.
void cut_into_tiles(const Image& picture, int64_t tile_width, int64_t tile_height, std::vector<Image>& tiles);

// The image processors CLIPImageProcessor, SiglipImageProcessor, LlavaImageProcessor, ViTImageProcessor,
// BitImageProcessor and BlipImageProcessor of Hugging Face transformers, equal to their Pillow backend.
class ImageProcessor : public PictureProcessor {
 public:
  // By read_processor_file; where the file does not name the processor, config.json's model_type does. Throws
  // Error(unsupported) for one that cuts tiles.
  static ImageProcessor from_folder(const std::filesystem::path& folder);

  explicit ImageProcessor(ImageProcessorConfig config, std::vector<std::string> assumed = {});

  // Pictures with alpha are laid over white when the processor converts to RGB, as the reference does with a
  // picture object; decode with Alpha::drop for what it does with a file name.
  // Throws Error(usage) when the pictures get different sizes, Error(resource) for absurd ones.
  PixelValues operator()(std::span<const Image> images) const;

  PreparedPictures prepare(std::span<const Image> pictures) const override;

  // The picture in three channels, as everything after it takes it.
  Image rgb(const Image& picture) const;

  // What a picture of this size becomes; padding of a batch to its largest is not counted.
  PictureGeometry geometry(int64_t width, int64_t height) const;

  // Writes one picture into [3, H, W], whose planes are `plane` and rows `stride` values apart, with the sizes that
  // `geometry` gives instead of its own: for processors that choose sizes in another way.
  void write(const Image& image, const PictureGeometry& geometry, float* values, int64_t plane, int64_t stride) const;

  const ImageProcessorConfig& config() const { return config_; }
  // Defaults of the reference class that the file did not give, as "key = value".
  const std::vector<std::string>& assumed() const { return assumed_; }

 private:
  ImageProcessorConfig config_;
  std::vector<std::string> assumed_;
  std::array<std::array<float, 256>, 3> value_of_{};  // of each byte in each channel
};

}  // namespace nuri
