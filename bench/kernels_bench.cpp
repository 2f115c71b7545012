// How near the kernels come to the machine's own limits: each benchmark reports bytes read a second (and products
// their arithmetic), to be held against ReadMemory of the same run. OMP_NUM_THREADS sets the threads, NURI_ISA the
// instruction set.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "kernels/bfloat12.h"
#include "kernels/convert.h"
#include "kernels/few_rows.h"
#include "kernels/paged_attention.h"
#include "kernels/quantized.h"
#include "kernels/quantized_product.h"
#include "kernels/tile_product.h"

namespace nuri::kernels {
namespace {

void run_with_openmp(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  const int64_t pieces = std::min<int64_t>(omp_get_max_threads(), std::max<int64_t>(1, (end - begin) / grain));
#pragma omp parallel for num_threads(pieces)
  for (int64_t i = 0; i < pieces; ++i) {
    body(begin + (end - begin) * i / pieces, begin + (end - begin) * (i + 1) / pieces);
  }
}

// Random numbers near 1 in bfloat16 or float16 alike: the exponent of both stays ordinary.
std::vector<uint16_t> random_halves(int64_t count) {
  std::vector<uint16_t> values(static_cast<std::size_t>(count));
  parallel_for(0, count, 1 << 16, [&](int64_t begin, int64_t end) {
    CounterRandom random(1, static_cast<uint64_t>(begin));
    for (int64_t i = begin; i < end; ++i) {
      values[static_cast<std::size_t>(i)] = static_cast<uint16_t>(0x3C00 + (random.next() & 0x83FF));
    }
  });
  return values;
}

void report(benchmark::State& state, int64_t bytes, int64_t operations = 0) {
  using benchmark::Counter;
  const auto rate = Counter::kIsIterationInvariantRate;
  state.counters["GB/s"] = Counter(static_cast<double>(bytes) * 1e-9, rate);
  if (operations) state.counters["GFLOP/s"] = Counter(static_cast<double>(operations) * 1e-9, rate);
}

void ReadMemory(benchmark::State& state) {
  const std::vector<uint16_t> data = random_halves(int64_t{1} << 27);
  const auto* words = reinterpret_cast<const uint64_t*>(data.data());
  const int64_t count = std::ssize(data) / 4;
  for (auto _ : state) {
    parallel_for(0, count, 1 << 16, [&](int64_t begin, int64_t end) {
      uint64_t sum[16] = {};
      for (int64_t i = begin; i + 16 <= end; i += 16) {
        for (int j = 0; j < 16; ++j) sum[j] += words[i + j];
      }
      benchmark::DoNotOptimize(std::accumulate(sum, sum + 16, uint64_t{0}));
    });
  }
  report(state, count * 8);
}
BENCHMARK(ReadMemory)->UseRealTime()->Unit(benchmark::kMillisecond);

// Weights of 256 MiB in turn, so that no cache holds them.
void FewRowsProduct(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const auto type = static_cast<Element>(state.range(3));
  const int64_t size = n * k * element_bytes(type) / 2, matrices = std::max<int64_t>(1, (int64_t{1} << 27) / size);
  const std::vector<uint16_t> w = random_halves(matrices * size);
  std::vector<float> x(static_cast<std::size_t>(m * k), 0.5f), y(static_cast<std::size_t>(m * n));
  for (auto _ : state) {
    for (int64_t i = 0; i < matrices; ++i) {
      few_rows_product(m, n, k, {x.data(), Element::float32, k}, {w.data() + i * size, type, k},
                       {y.data(), Element::float32, n});
    }
    benchmark::ClobberMemory();
  }
  report(state, matrices * size * 2, matrices * 2 * m * n * k);
}
void few_rows_cases(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"m", "n", "k", "type"});
  const auto bf16 = static_cast<int64_t>(Element::bfloat16);
  for (int64_t m : {1, 2, 3, 4, 5, 6, 8, 12, 16}) bench->Args({m, 8192, 2048, bf16});
  for (int64_t m : {1, 4, 8}) bench->Args({m, 2048, 8192, bf16});
  bench->Args({1, 512, 2048, bf16});
  for (Element type : {Element::float16, Element::float32}) bench->Args({1, 8192, 2048, static_cast<int64_t>(type)});
}
BENCHMARK(FewRowsProduct)->Apply(few_rows_cases)->UseRealTime()->Unit(benchmark::kMillisecond);

// The same with packed weights: bytes are those of the packed weight. x is of the type that models have beside it.
void QuantizedProducts(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const auto coding = static_cast<Coding>(state.range(3));
  state.SetLabel(std::string(coding_name(coding)));
  const bool exact = coding == Coding::bfloat12;
  const Element type = exact ? Element::bfloat16 : Element::float32;
  if (exact && !bfloat12_multiplies(m, n, k, type)) return state.SkipWithError("no matrix tiles");
  const int64_t size = quantized_bytes(coding, n, k), matrices = std::max<int64_t>(1, (int64_t{1} << 28) / size);
  const std::vector<uint16_t> w = random_halves(n * k);
  std::vector<std::byte> packed(static_cast<std::size_t>(matrices * size));
  for (int64_t i = 0; i < matrices; ++i) {
    const ConstRows rows{w.data(), Element::bfloat16, k};
    if (!exact) quantize(coding, n, k, rows, packed.data() + i * size);
    if (exact && !pack_bfloat12(n, k, rows, packed.data() + i * size)) return state.SkipWithError("does not fit");
  }
  const std::vector<float> wide(static_cast<std::size_t>(m * k), 0.5f);
  std::vector<std::byte> x(static_cast<std::size_t>(m * k * element_bytes(type)));
  convert(wide.data(), Element::float32, x.data(), type, m * k);
  std::vector<float> y(static_cast<std::size_t>(m * n));
  for (auto _ : state) {
    for (int64_t i = 0; i < matrices; ++i) {
      const QuantizedFactor factor{n, coding, packed.data() + i * size, {y.data(), Element::float32, n}};
      quantized_products(m, k, {x.data(), type, k}, {&factor, 1});
    }
    benchmark::ClobberMemory();
  }
  report(state, matrices * size, matrices * 2 * m * n * k);
}
void quantized_cases(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"m", "n", "k", "coding"});
  for (Coding coding : {Coding::int8_rows, Coding::int8_groups, Coding::int4_groups, Coding::int4_ranges,
                        Coding::int4_steps, Coding::bfloat12})
    for (int64_t m : {1, 2, 4, 8, 16, 512}) bench->Args({m, 8192, 2048, static_cast<int64_t>(coding)});
}
BENCHMARK(QuantizedProducts)->Apply(quantized_cases)->UseRealTime()->Unit(benchmark::kMillisecond);

// Prefill and encoders, likewise with weights of 256 MiB in turn.
void TileProduct(benchmark::State& state) {
  const int64_t m = state.range(0), n = state.range(1), k = state.range(2), size = n * k;
  if (!tiles_fit(n, k)) return state.SkipWithError("no matrix tiles");
  const int64_t matrices = std::max<int64_t>(1, (int64_t{1} << 27) / size);
  const std::vector<uint16_t> w = random_halves(matrices * size), x = random_halves(m * k);
  std::vector<uint16_t> y(static_cast<std::size_t>(m * n));
  constexpr Element kType = Element::bfloat16;
  for (auto _ : state) {
    for (int64_t i = 0; i < matrices; ++i) {
      const TileFactor factor{n, {w.data() + i * size, kType, k}, {y.data(), kType, n}};
      tile_products(m, k, {x.data(), kType, k}, {&factor, 1});
    }
    benchmark::ClobberMemory();
  }
  report(state, matrices * size * 2, matrices * 2 * m * n * k);
}
BENCHMARK(TileProduct)
    ->ArgNames({"m", "n", "k"})
    ->Args({32, 8192, 2048})
    ->Args({257, 6144, 1408})
    ->Args({257, 1408, 6144})
    ->Args({512, 8192, 2048})
    ->Args({512, 2048, 8192})
    ->Args({4096, 4096, 1024})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// A panel of weights to float32 in a scratch that stays in the cache; bytes of the narrow side.
void ConvertPanel(benchmark::State& state) {
  const int64_t panel = state.range(0), panels = (int64_t{1} << 27) / panel;
  const std::vector<uint16_t> w = random_halves(panel * panels);
  std::vector<float> scratch(static_cast<std::size_t>(panel));
  for (auto _ : state) {
    for (int64_t i = 0; i < panels; ++i) {
      convert_parallel(w.data() + i * panel, Element::bfloat16, scratch.data(), Element::float32, panel);
    }
    benchmark::ClobberMemory();
  }
  report(state, panel * panels * 2);
}
BENCHMARK(ConvertPanel)->Arg(1 << 17)->Arg(1 << 20)->Arg(1 << 24)->UseRealTime()->Unit(benchmark::kMillisecond);

// 32 heads over 8 of 64, or 16 over 2 of 128, one sequence or several, each layer's cache in turn; in bfloat16, or in
// codes of 8 bits.
void PagedAttention(benchmark::State& state) {
  const bool coded = state.range(2) != 0, wide = state.range(3) != 0;
  const int64_t sequences = state.range(0), length = state.range(1);
  const int64_t heads = wide ? 16 : 32, kv_heads = wide ? 2 : 8, dim = wide ? 128 : 64;
  const int64_t each = (length + 15) / 16, blocks = sequences * each, size = blocks * kv_heads * 16 * dim;
  const int64_t layers = std::max<int64_t>(1, (int64_t{1} << 25) / size);
  const std::vector<uint16_t> keys = random_halves(layers * size), values = random_halves(layers * size);
  const std::vector<uint16_t> q = random_halves(sequences * heads * dim);
  const std::vector<float> scales(static_cast<std::size_t>(coded ? layers * size / dim : 0), 0.01f);
  std::vector<uint16_t> out(q.size());
  std::vector<int32_t> table(static_cast<std::size_t>(blocks));
  std::iota(table.begin(), table.end(), 0);
  CounterRandom random(2);
  random.shuffle(table);
  std::vector<PagedQuery> queries;
  for (int64_t s = 0; s < sequences; ++s) {
    queries.push_back({q.data() + s * heads * dim, out.data() + s * heads * dim, table.data() + s * each, length});
  }
  for (auto _ : state) {
    for (int64_t i = 0; i < layers; ++i) {
      PagedCache cache{keys.data() + i * size, values.data() + i * size, Element::bfloat16, blocks, kv_heads, dim};
      if (coded) cache.key_scales = cache.value_scales = scales.data() + i * size / dim;
      paged_attention(cache, queries, heads, Element::bfloat16, 0.125f);
    }
    benchmark::ClobberMemory();
  }
  report(state, layers * size * 2 * (coded ? 1 : 2), layers * sequences * length * heads * dim * 4);
}
BENCHMARK(PagedAttention)
    ->ArgNames({"sequences", "length", "coded", "wide"})
    ->ArgsProduct({{1}, {512, 4096}, {0, 1}, {0, 1}})
    ->ArgsProduct({{8}, {1024}, {0, 1}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace nuri::kernels

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  nuri::set_parallel_for(nuri::kernels::run_with_openmp);
  benchmark::RunSpecifiedBenchmarks();
}
