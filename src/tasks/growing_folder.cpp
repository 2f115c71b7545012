#include "tasks/growing_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;
constexpr const char* kPlan = "plan.json";

bool is_empty_folder(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder, error) && fs::is_empty(folder, error) && !error;
}

// "models/small/" is named as "models/small".
fs::path without_slash(const fs::path& folder) {
  fs::path path = folder.lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

void clear(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!error) fs::remove_all(entry.path(), error);
    if (error) break;
  }
  if (error) throw Error(ErrorKind::usage, fmt::format("{}: cannot clear: {}", folder.string(), error.message()));
}

bool holds_only(const fs::path& folder, const char* name) {
  std::error_code error;
  fs::directory_iterator file(folder, error), end;
  for (; !error && file != end; file.increment(error))
    if (file->path().filename() != name) return false;
  return !error;
}

void sync(const fs::path& folder) {
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

GrowingFolder::GrowingFolder(const fs::path& folder, const std::string& plan)
    : folder_(without_slash(folder)), partial_(folder_) {
  if (folder.empty() || folder_ == "." || folder_ == ".." || !folder_.has_filename())
    throw Error(ErrorKind::usage, fmt::format("found \"{}\", expected the name of a new folder", folder.string()));
  if (is_there(folder_) && !is_empty_folder(folder_))
    throw Error(ErrorKind::usage,
                fmt::format("{}: found something there already, expected a new folder", folder_.string()));
  partial_ += ".partial";
  const bool fresh = !is_there(partial_);
  make_folder(partial_);
  lock_ = ::open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0)
    throw Error(ErrorKind::usage, fmt::format("{}: cannot open: {}", partial_.string(), std::strerror(errno)));
  // A file system without locks lets everyone in.
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(lock_);
    throw Error(ErrorKind::usage,
                fmt::format("{}: found another process at work there, expected to be alone", partial_.string()));
  }
  try {
    const bool planned = is_there(partial_ / kPlan);
    if (!fresh && !planned && !is_empty_folder(partial_))
      throw Error(ErrorKind::usage, fmt::format("{}: found a folder without {}, expected none, or one that an "
                                                "interrupted run left",
                                                partial_.string(), kPlan));
    if (planned && read_file(partial_ / kPlan) == plan) return;
    clear(partial_);
    write_file_atomically(partial_ / kPlan, plan);
  } catch (...) {
    ::close(lock_);
    if (fresh) ::rmdir(partial_.c_str());
    throw;
  }
}

GrowingFolder::~GrowingFolder() {
  if (holds_only(partial_, kPlan)) {
    ::unlink((partial_ / kPlan).c_str());
    ::rmdir(partial_.c_str());
  }
  ::close(lock_);
}

void GrowingFolder::finish() {
  sync(partial_);
  if (::rename(partial_.c_str(), folder_.c_str()) != 0)
    throw Error(ErrorKind::resource,
                fmt::format("{}: cannot give it this name: {}", folder_.string(), std::strerror(errno)));
  std::error_code left;  // harms nobody
  fs::remove(folder_ / kPlan, left);
  sync(folder_.has_parent_path() ? folder_.parent_path() : fs::path("."));
}

}  // namespace nuri
