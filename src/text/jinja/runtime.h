#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nuri::jinja {

// Anything a template makes that is neither a scalar nor a string.
struct Object {
  virtual ~Object() = default;
};

// What went wrong while a template ran; the interpreter adds the file and line.
struct Failure {
  ErrorKind kind;
  std::string message;
};

// Errors of the template itself or of the data given to it.
[[noreturn]] void fail(const std::string& message);
[[noreturn]] void fail(ErrorKind kind, const std::string& message);

struct Limits {
  int64_t steps = 10'000'000;       // nodes evaluated, items made, and 64 bytes of text each
  size_t output_bytes = 64u << 20;  // of the rendered text and of any string on the way
  int depth = 800;                  // of nested evaluation, macros and data
};

// What one rendering may use up, and the objects that live as long as it.
class Runtime {
 public:
  explicit Runtime(const Limits& limits) : limits_(limits), steps_left_(limits.steps) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Takes `steps` from the budget; fails with resource when it is spent.
  void charge(int64_t steps) {
    steps_left_ -= steps;
    if (steps_left_ < 0) out_of_steps();
    if ((steps_since_check_ += steps) > 1'000'000) check();
  }
  // For work on `bytes` of text. Refuses more than one string may have, before it is made.
  void charge_text(size_t bytes);
  // For making `items` values.
  void charge_items(uint64_t items);

  template <class T>
  T* make() {
    charge(4);
    auto owned = std::make_unique<T>();
    T* object = owned.get();
    objects_.push_back(std::move(owned));
    return object;
  }

  const Limits& limits() const { return limits_; }

  // Counts one level of recursion for as long as it lives.
  class Level {
   public:
    explicit Level(Runtime& runtime) : runtime_(runtime) {
      if (++runtime_.depth_ > runtime_.limits_.depth) runtime_.too_deep();
    }
    ~Level() { --runtime_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Runtime& runtime_;
  };

 private:
  [[noreturn]] void out_of_steps() const;
  [[noreturn]] void too_deep();
  void check();

  Limits limits_;
  int64_t steps_left_;
  int64_t steps_since_check_ = 0;
  int depth_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace nuri::jinja
