#pragma once

// Not installed: for the tasks themselves.

#include <filesystem>
#include <string>

namespace nuri {

// A folder that appears complete: it grows beside its place, as NAME.partial, until finish() gives it its name. A later
// process with the same `plan` finds there what an earlier one wrote; where that is nothing, NAME.partial goes. One
// process at a time.
class GrowingFolder {
 public:
  // Throws Error(usage) for a folder that holds something already, or a NAME.partial that is something else. What an
  // earlier process wrote by another plan is removed.
  GrowingFolder(const std::filesystem::path& folder, const std::string& plan);
  ~GrowingFolder();
  GrowingFolder(const GrowingFolder&) = delete;
  GrowingFolder& operator=(const GrowingFolder&) = delete;

  // Where files are written for now.
  const std::filesystem::path& path() const { return partial_; }
  // Throws Error(resource) when the folder cannot be given its name.
  void finish();

 private:
  std::filesystem::path folder_, partial_;
  int lock_ = -1;
};

}  // namespace nuri
