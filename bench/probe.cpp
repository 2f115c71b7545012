// What this machine can do at most: products of float32, bfloat16 and int8 on registers alone, and reading memory, with
// one thread and with all. Prints one JSON object; bench/peers divides by these. Instruction sets are chosen as the
// program runs.
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kSteps = 1 << 21;
constexpr int kAccumulators = 16;  // hide the latency of two products a cycle
constexpr int kTrials = 5;

// Keeps a value that nothing reads.
template <class T>
void keep(T& value) {
  asm volatile("" : "+m"(value));
}

// Each runs kSteps rounds -> operations of one round (a multiplication and an addition are two).
#define PRODUCTS(name, sets, type, zero, one, work, lanes)        \
  __attribute__((target(sets))) int64_t name() {                  \
    type sums[kAccumulators];                                     \
    for (auto& sum : sums) sum = zero;                            \
    auto x = one, y = one;                                        \
    asm volatile("" : "+v"(x), "+v"(y));                          \
    for (int64_t step = 0; step < kSteps; ++step) {               \
      _Pragma("GCC unroll 16") for (auto& sum : sums) sum = work; \
      asm volatile("" : "+v"(x));                                 \
    }                                                             \
    for (auto& sum : sums) keep(sum);                             \
    return int64_t{2} * lanes * kAccumulators;                    \
  }

PRODUCTS(float_avx2, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_set1_ps(1), _mm256_fmadd_ps(x, y, sum), 8)
PRODUCTS(float_avx512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_set1_ps(1), _mm512_fmadd_ps(x, y, sum), 16)
PRODUCTS(bytes_avx512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1),
         _mm512_dpbusd_epi32(sum, x, y), 64)
PRODUCTS(bytes_avx2, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
         _mm256_dpbusd_avx_epi32(sum, x, y), 32)

__attribute__((target("avx512f,avx512bf16"))) int64_t bfloat_avx512() {
  __m512 sums[kAccumulators];
  for (auto& sum : sums) sum = _mm512_setzero_ps();
  __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1), _mm512_set1_ps(1)), y = x;
  asm volatile("" : "+v"(x), "+v"(y));
  for (int64_t step = 0; step < kSteps; ++step) {
#pragma GCC unroll 16
    for (auto& sum : sums) sum = _mm512_dpbf16_ps(sum, x, y);
    asm volatile("" : "+v"(x));
  }
  for (auto& sum : sums) keep(sum);
  return int64_t{2} * 32 * kAccumulators;
}

struct alignas(64) TileShapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t columns[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Four sums of two times two tiles, as a product of matrices has them.
#define TILES(name, sets, instruction, lanes)            \
  __attribute__((target(sets))) int64_t name() {         \
    TileShapes shapes;                                   \
    keep(shapes);                                        \
    _tile_loadconfig(&shapes);                           \
    _tile_zero(0);                                       \
    _tile_zero(1);                                       \
    _tile_zero(2);                                       \
    _tile_zero(3);                                       \
    _tile_zero(4);                                       \
    _tile_zero(5);                                       \
    _tile_zero(6);                                       \
    _tile_zero(7);                                       \
    for (int64_t step = 0; step < kSteps / 16; ++step) { \
      instruction(0, 4, 6);                              \
      instruction(1, 4, 7);                              \
      instruction(2, 5, 6);                              \
      instruction(3, 5, 7);                              \
    }                                                    \
    _tile_release();                                     \
    return int64_t{2} * 16 * 16 * lanes * 4 / 16;        \
  }

TILES(bfloat_amx, "amx-tile,amx-bf16", _tile_dpbf16ps, 32)
TILES(bytes_amx, "amx-tile,amx-int8", _tile_dpbusd, 64)

// Linux gives the tiles to those who ask.
bool tiles_allowed() {
  constexpr long kRequest = 0x1023, kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

// The greatest rate of `work` on so many threads at once, in billions a second.
double rate(int threads, const std::function<double(int)>& work) {
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<std::thread> pool;
    std::vector<double> done(static_cast<size_t>(threads));
    auto begin = Clock::now();
    for (int i = 0; i < threads; ++i) pool.emplace_back([&, i] { done[static_cast<size_t>(i)] = work(i); });
    for (auto& thread : pool) thread.join();
    double seconds = std::chrono::duration<double>(Clock::now() - begin).count(), all = 0;
    for (double one : done) all += one;
    best = std::max(best, all / seconds / 1e9);
  }
  return best;
}

double products(int threads, int64_t (*work)()) {
  if (work == nullptr) return 0;
  return rate(threads, [&](int) { return static_cast<double>(work() * kSteps); });
}

// How memory is read: several places in turn, each line asked for so many bytes before its turn. Which way is fastest
// differs between machines.
struct ReadingWay {
  size_t streams, ahead;
};

// Each adds up `size` bytes of every stream, in multiples of 1 KiB; they begin `size` apart.
#define READING(name, sets, type, load, add)                                               \
  __attribute__((target(sets))) void name(const char* data, size_t size, ReadingWay way) { \
    type sums[8] = {};                                                                     \
    constexpr size_t kLane = sizeof(type), kRound = 8 * kLane;                             \
    for (size_t i = 0; i + kRound <= size; i += kRound)                                    \
      for (size_t stream = 0; stream < way.streams; ++stream) {                            \
        const char* const from = data + stream * size + i;                                 \
        _Pragma("GCC unroll 8") for (size_t j = 0; j < 8; ++j) {                           \
          sums[j] = add(sums[j], load(reinterpret_cast<const type*>(from + j * kLane)));   \
          __builtin_prefetch(from + way.ahead + j * kLane);                                \
        }                                                                                  \
      }                                                                                    \
    for (auto& sum : sums) keep(sum);                                                      \
  }

READING(read_avx512, "avx512f", __m512i, _mm512_loadu_si512, _mm512_add_epi64)
READING(read_avx2, "avx2", __m256i, _mm256_loadu_si256, _mm256_add_epi64)

// Every thread reads its part of 1 GiB, which no cache holds, from large pages where the system has them.
double reading(int threads) {
  constexpr size_t kBytes = size_t{1} << 30, kPage = size_t{1} << 21;
  static char* const memory = [] {
    auto* found = static_cast<char*>(std::aligned_alloc(kPage, kBytes));
    if (found == nullptr) std::abort();
    ::madvise(found, kBytes, MADV_HUGEPAGE);
    std::memset(found, 1, kBytes);
    return found;
  }();
  const auto read = __builtin_cpu_supports("avx512f") ? read_avx512 : read_avx2;
  double best = 0;
  for (size_t streams : {1, 2, 4, 8})
    for (size_t ahead : {512, 1024, 4096}) {
      const size_t size = kBytes / static_cast<size_t>(threads) / streams / 1024 * 1024, part = size * streams;
      best = std::max(best, rate(threads, [&](int index) {
                        read(memory + part * static_cast<size_t>(index), size, {streams, ahead});
                        return static_cast<double>(part);
                      }));
    }
  return best;
}

struct Choice {
  const char* name;
  int64_t (*work)();
};

Choice float_products() {
  if (__builtin_cpu_supports("avx512f")) return {"AVX-512", float_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {"AVX2", float_avx2};
  return {"none", nullptr};
}

Choice bfloat_products(bool tiles) {
  if (tiles && __builtin_cpu_supports("amx-bf16")) return {"AMX", bfloat_amx};
  if (__builtin_cpu_supports("avx512bf16")) return {"AVX512_BF16", bfloat_avx512};
  return {"none", nullptr};
}

Choice byte_products(bool tiles) {
  if (tiles && __builtin_cpu_supports("amx-int8")) return {"AMX", bytes_amx};
  if (__builtin_cpu_supports("avx512vnni")) return {"AVX512_VNNI", bytes_avx512};
  if (__builtin_cpu_supports("avxvnni")) return {"AVX_VNNI", bytes_avx2};
  return {"none", nullptr};
}

}  // namespace

int main(int count, char** arguments) {
  int all = count > 1 ? std::atoi(arguments[1]) : static_cast<int>(std::thread::hardware_concurrency());
  if (all < 1) {
    std::fprintf(stderr, "usage: nuri_probe [THREADS]\n");
    return 2;
  }
  bool tiles = tiles_allowed();
  Choice floats = float_products(), bfloats = bfloat_products(tiles), bytes = byte_products(tiles);
  std::printf("{\"threads\": %d", all);
  struct Limit {
    const char* key;
    Choice choice;
  };
  for (const Limit& limit : {Limit{"fp32", floats}, Limit{"bf16", bfloats}, Limit{"int8", bytes}})
    std::printf(", \"%s\": {\"set\": \"%s\", \"one\": %.1f, \"all\": %.1f}", limit.key, limit.choice.name,
                products(1, limit.choice.work), products(all, limit.choice.work));
  std::printf(", \"read\": {\"one\": %.1f, \"all\": %.1f}}\n", reading(1), reading(all));
}
