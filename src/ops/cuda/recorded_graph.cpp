// Built into the program where libtorch is a CUDA build; else compiled alone (.ci/cuda).
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/StreamGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <map>

#include "ops/recorded_step.h"

namespace nuri::ops {
namespace {

// One for all recordings: libraries keep a workspace for each stream that they have seen.
c10::cuda::CUDAStream side_stream(c10::DeviceIndex device) {
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  auto found = streams.find(device);
  if (found == streams.end())
    found = streams.emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first;
  return found->second;
}

class RecordedGraph : public RecordedStep {
 public:
  RecordedGraph(Work work, at::Device device) : work_(std::move(work)) {
    // What the work reads was perhaps written on the stream that is current now.
    c10::cuda::getCurrentCUDAStream(device.index()).synchronize();
    const c10::cuda::CUDAStream side = side_stream(device.index());
    // Not CUDAStreamGuard, whose header would have the program linked to the CUDA runtime too.
    c10::StreamGuard guard(side.unwrap());
    work_();  // libraries make their handles and choose their kernels: nothing that a recording may hold
    side.synchronize();
    record();
  }

  const at::Tensor& replay() override {
    graph_.replay();
    return made_;
  }

 private:
  void record() {
    static const at::cuda::MempoolId_t pool = at::cuda::graph_pool_handle();
    // Of this thread alone: another one may ask the driver for memory meanwhile.
    graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    std::exception_ptr failure;
    try {
      made_ = work_();
    } catch (...) {
      failure = std::current_exception();
    }
    try {
      graph_.capture_end();
    } catch (...) {
      if (!failure) throw;
    }
    if (failure) std::rethrow_exception(failure);
  }

  Work work_;  // holds the tensors whose places the graph knows
  at::cuda::CUDAGraph graph_;
  at::Tensor made_;
};

std::unique_ptr<RecordedStep> record_graph(Work work, at::Device device) {
  return std::make_unique<RecordedGraph>(std::move(work), device);
}

[[maybe_unused]] const bool kKnown = (use_cuda_recorder(record_graph), true);

}  // namespace
}  // namespace nuri::ops
