// Runs one fuzz target on every file of a folder, and on some mutations of each: what libFuzzer would do,
// for every compiler and with the same inputs every time.
#include <sanitizer/common_interface_defs.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "fuzz.h"

// A large allocation or resident size is a failure: no parser may need it for a small file. Leaks are left
// to the fuzzers, because their check needs ptrace, which some containers forbid.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0:max_allocation_size_mb=1024:hard_rss_limit_mb=2048";
}

namespace {

namespace fs = std::filesystem;
constexpr int kMutations = 24;
constexpr int kCpuSeconds = 20;  // of one input

std::string running;  // the input, for the message when it ends the process

void say(std::string_view what) {
  (void)!::write(STDERR_FILENO, running.data(), running.size());
  (void)!::write(STDERR_FILENO, what.data(), what.size());
}

void on_signal(int number) {
  say(number == SIGPROF ? ": took more CPU time than an input may\n" : ": aborted\n");
  ::_exit(1);
}

void run(const std::string& input, const std::string& name) {
  running = name;
  itimerval limit{};
  limit.it_value.tv_sec = kCpuSeconds;
  ::setitimer(ITIMER_PROF, &limit, nullptr);
  // A buffer of exactly this size, so that one byte too far is noticed.
  std::unique_ptr<uint8_t[]> bytes(new uint8_t[input.size()]);
  std::memcpy(bytes.get(), input.data(), input.size());
  LLVMFuzzerTestOneInput(bytes.get(), input.size());
}

std::string mutated(std::string input, nuri::CounterRandom& random) {
  if (input.empty()) return input;
  switch (random.below(4)) {
    case 0:
      input.resize(random.below(input.size()));
      break;
    case 1:
      input.erase(random.below(input.size()), 1 + random.below(8));
      break;
    case 2: {
      std::string piece = input.substr(random.below(input.size()), 1 + random.below(16));
      input.insert(random.below(input.size()), piece);
      break;
    }
    default:
      for (uint64_t i = 1 + random.below(4); i > 0; --i)
        input[random.below(input.size())] = static_cast<char>(random.below(256));
  }
  return input;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2 || !fs::is_directory(arguments[1])) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(arguments[1]))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "%s: found no seed, expected some\n", arguments[1]);
    return 1;
  }
  std::signal(SIGPROF, on_signal);
  std::signal(SIGABRT, on_signal);
  __sanitizer_set_death_callback([] { say(": a sanitizer's report\n"); });
  for (const auto& file : files) {
    std::string seed = nuri::read_file(file);
    run(seed, file.string());
    nuri::CounterRandom random(seed.size());
    for (int i = 0; i < kMutations; ++i) run(mutated(seed, random), file.string() + ", mutation " + std::to_string(i));
  }
  std::printf("%zu seeds, %zu inputs\n", files.size(), files.size() * (kMutations + 1));
  return 0;
}
