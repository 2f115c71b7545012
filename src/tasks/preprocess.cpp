#include "tasks/preprocess.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"
#include "weights/tensor_file.h"

namespace nuri {

at::Tensor to_tensor(const PixelValues& pixels) {
  return at::from_blob(const_cast<float*>(pixels.values.data()), pixels.shape, at::kFloat).clone();
}

std::vector<Image> read_pictures(const std::vector<std::string>& files, const PictureLimits& limits) {
  std::vector<Image> pictures;
  ImageLimits bounds;
  bounds.max_pixels = limits.max_pixels;
  for (const auto& file : files) pictures.push_back(read_image(file, bounds));
  return pictures;
}

void preprocess(const PreprocessRequest& request) {
  std::filesystem::path folder = find_model(request.model);
  if (!request.text && request.pictures.empty())
    throw Error(ErrorKind::usage, "found neither --text nor a picture, expected one of them");
  std::vector<Image> pictures = read_pictures(request.pictures, request.limits);
  std::vector<NamedTensor> tensors;
  if (request.text) {
    PreparedPrompt prompt = (*open_processor(folder))(*request.text, pictures, true);
    at::Tensor ids = at::tensor(prompt.ids, at::kInt).to(at::kLong).unsqueeze(0);
    tensors.push_back({"input_ids", ids});
    tensors.push_back({"attention_mask", at::ones_like(ids)});
    if (prompt.pixels) tensors.push_back({"pixel_values", to_tensor(*prompt.pixels)});
  } else {
    tensors.push_back({"pixel_values", to_tensor(ImageProcessor::from_folder(folder)(pictures))});
  }
  write_tensors(request.output, tensors);
}

}  // namespace nuri
