#pragma once

#include <filesystem>

namespace nuri {

// Keeps a folder for one process, which makes it if need be: two runs in one folder would spoil each other's
// checkpoints. Ends with the process, however that ends.
class FolderLock {
 public:
  // Throws Error(usage) when another process holds the folder.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace nuri
