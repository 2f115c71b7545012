#include "train/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace nuri {

FolderLock::FolderLock(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0)
    throw Error(ErrorKind::usage,
                fmt::format("{}: cannot write: {}", folder.string(), error ? error.message() : std::strerror(errno)));
  // A file system without locks lets everyone in.
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  throw Error(ErrorKind::usage,
              fmt::format("{}: found another nuri train at work there, expected to be alone", folder.string()));
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace nuri
