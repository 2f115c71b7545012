#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>

namespace nuri::ops {

// Work on tensors whose shapes and places stay, that is done again and again: each time it reads its inputs anew where
// they lie.
class RecordedStep {
 public:
  virtual ~RecordedStep() = default;
  // Does the work. -> The same tensor each time, with what the work gives now.
  virtual const at::Tensor& replay() = 0;
};

using Work = std::function<at::Tensor()>;

// On a GPU a CUDA graph: all kernels of the work are started at once, without what the host does between them. `work`
// is then called twice, here, and never again; it must not copy from the host, ask for a number, or have shapes that
// depend on one. Recordings share memory for what lies between their kernels, so one at a time may run, and what one
// gave must be read before it runs again. Elsewhere replay() calls `work`.
std::unique_ptr<RecordedStep> record_step(Work work, at::Device device);

// Who records on GPUs: ops/cuda, where the program is built with it.
using StepRecorder = std::unique_ptr<RecordedStep> (*)(Work work, at::Device device);
void use_cuda_recorder(StepRecorder recorder);

}  // namespace nuri::ops
