#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <type_traits>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/isa/jobs.h"
#include "kernels/scratch.h"

// What the products of several weights by the same rows share.
namespace nuri::kernels {

template <class Data>
Data* row_of(Data* data, int64_t row, int64_t stride, Element type) {
  using Byte = std::conditional_t<std::is_const_v<Data>, const std::byte, std::byte>;
  return static_cast<Byte*>(data) + row * stride * element_bytes(type);
}

// Checks a factor, and its gate, of which y is not written, as one that lies beside it.
template <class Factor, class Check>
void check_with_gate(const char* product, const Factor& factor, const Check& check) {
  check(factor);
  if (!factor.gate) return;
  if (factor.gate->n != factor.n || factor.epilogue.join != Join::none || factor.gate->epilogue.join != Join::none ||
      factor.gate->gate)
    throw Error(ErrorKind::internal,
                fmt::format("{}: found a gate of another size, beside another number, or behind a gate", product));
  Factor gate = *factor.gate;
  gate.y = factor.y;
  check(gate);
}

// Of the rows from `first` on.
inline Result result_from(int64_t first, Rows y, Epilogue epilogue) {
  y.data = row_of(y.data, first, y.stride, y.type);
  if (epilogue.join != Join::none)
    epilogue.other.data = row_of(epilogue.other.data, first, epilogue.other.stride, epilogue.other.type);
  return {y, epilogue};
}

// Calls body(factor, begin, end) for the parts of all factors, `rows` rows of a weight each, over the threads.
template <class Factor, class Body>
void over_factors(std::span<const Factor> factors, int64_t rows, int64_t grain, const Body& body) {
  const auto parts = [&](const Factor& factor) { return (factor.n + rows - 1) / rows; };
  int64_t count = 0;
  for (const Factor& factor : factors) count += parts(factor);
  parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    for (const Factor& factor : factors) {
      const int64_t held = parts(factor), last = std::min(end, held);
      if (begin < last) body(factor, begin, last);
      begin = std::max<int64_t>(begin - held, 0);
      end -= held;
      if (end <= 0) return;
    }
  });
}

// Parts [begin, end), of `rows` rows of a weight each, of job_of(factor) for m rows of x: run(job, begin, end). Behind
// a gate, some parts at a time, the gate's come first, to memory of this thread's own, and multiply the factor's.
template <class Factor, class JobOf, class Run>
void run_behind_gate(const Factor& factor, int64_t m, int64_t rows, int64_t begin, int64_t end, const JobOf& job_of,
                     const Run& run) {
  auto job = job_of(factor);
  if (!factor.gate) return run(job, begin, end);
  // So that what they give stays in the second-level cache; and for few rows, long runs of memory.
  const int64_t columns = m <= 16 ? 1024 : 256;
  static thread_local Scratch scratch;
  auto* const found = reinterpret_cast<float*>(scratch.of(m * columns * static_cast<int64_t>(sizeof(float))));
  auto gate = job_of(*factor.gate);
  job.epilogue.join = Join::times;
  for (int64_t at = begin; at < end; at += columns / rows) {
    // Column at * rows of y is column 0 there.
    gate.y = {found - at * rows, Element::float32, columns};
    job.epilogue.other = {gate.y.data, Element::float32, columns};
    const int64_t last = std::min(at + columns / rows, end);
    run(gate, at, last);
    run(job, at, last);
  }
}

}  // namespace nuri::kernels
