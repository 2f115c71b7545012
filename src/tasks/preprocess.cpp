#include "tasks/preprocess.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/parts/inputs.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"
#include "weights/tensor_file.h"

namespace nuri {

void preprocess(const PreprocessRequest& request) {
  std::filesystem::path folder = find_model(request.model);
  if (!request.text && request.pictures.empty())
    throw Error(ErrorKind::usage, "found neither --text nor a picture, expected one of them");
  std::vector<Image> pictures = read_pictures(request.pictures, request.limits);
  NamedTensors tensors;
  if (request.text) {
    PreparedPrompt prompt = (*open_processor(folder))(*request.text, pictures, true);
    tensors = take_tensors(prompt);
    tensors["attention_mask"] = at::ones_like(tensors["input_ids"]);
  } else {
    tensors = to_tensors(open_picture_processor(folder)->prepare(pictures).arrays);
  }
  std::vector<NamedTensor> listed;
  for (const auto& [name, tensor] : tensors) listed.push_back({name, tensor});
  write_tensors(request.output, listed);
}

}  // namespace nuri
