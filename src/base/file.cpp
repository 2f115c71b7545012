#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/memory.h"

namespace nuri {
namespace {

[[noreturn]] void fail_open(const std::filesystem::path& path) {
  throw Error(ErrorKind::usage, fmt::format("{}: cannot open: {}", path.string(), std::strerror(errno)));
}

// Opens for reading and proves that `path` is a regular file; returns descriptor and size.
std::pair<int, std::size_t> open_regular(const std::filesystem::path& path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not block
  if (descriptor < 0) fail_open(path);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw Error(ErrorKind::usage,
                fmt::format("{}: found something that is no regular file, expected a file", path.string()));
  }
  return {descriptor, static_cast<std::size_t>(status.st_size)};
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  auto [descriptor, size] = open_regular(path);
  size_ = size;
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
    if (address == MAP_FAILED) {
      int reason = errno;
      ::close(descriptor);
      AvailableMemory available = available_memory();
      throw Error(ErrorKind::resource,
                  fmt::format("{}: cannot map {} bytes ({}) into memory: {}; found {} available ({})", path.string(),
                              size_, readable_bytes(static_cast<int64_t>(size_)), std::strerror(reason),
                              readable_bytes(available.bytes), available.limit));
    }
    data_ = static_cast<std::byte*>(address);
  }
  ::close(descriptor);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), target_(path_) {
  if (path_.empty()) throw Error(ErrorKind::usage, "found an empty file name, expected a file to write");
  struct stat status {};
  bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode))
    throw Error(ErrorKind::usage, fmt::format("{}: found a folder, expected a file to write", path_.string()));
  if (exists && !S_ISREG(status.st_mode)) {
    kind_ = Kind::direct;
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    std::error_code error;
    if (exists) target_ = std::filesystem::canonical(path_, error);
    if (error) target_ = path_;
    temporary_ = target_;
    temporary_ += fmt::format(".part{}", ::getpid());
    std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
    // Giving the file its name in the end goes through /proc.
    if (::access("/proc/self/fd", X_OK) == 0)
      descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (descriptor_ < 0) {
      kind_ = Kind::neighbour;
      descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
  }
  if (descriptor_ < 0)
    throw Error(ErrorKind::usage, fmt::format("{}: cannot write: {}", path_.string(), std::strerror(errno)));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (kind_ == Kind::neighbour) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  const char* cursor = static_cast<const char*>(data);
  while (size > 0) {
    ssize_t written = ::write(descriptor_, cursor, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      throw Error(ErrorKind::resource, fmt::format("{}: cannot write: {}", path_.string(), std::strerror(errno)));
    cursor += written;
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  int reason = 0;
  // Devices and pipes have nothing to sync.
  if (::fsync(descriptor_) != 0 && kind_ != Kind::direct) reason = errno;
  if (reason == 0 && kind_ == Kind::unnamed) {
    std::string link = fmt::format("/proc/self/fd/{}", descriptor_);
    ::unlink(temporary_.c_str());
    if (::linkat(AT_FDCWD, link.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) reason = errno;
  }
  if (::close(std::exchange(descriptor_, -1)) != 0 && reason == 0) reason = errno;
  if (kind_ != Kind::direct) {
    if (reason == 0 && ::rename(temporary_.c_str(), target_.c_str()) != 0) reason = errno;
    if (reason != 0) ::unlink(temporary_.c_str());
  }
  if (reason != 0)
    throw Error(ErrorKind::resource, fmt::format("{}: cannot write: {}", path_.string(), std::strerror(reason)));
}

void expect_writable(const std::filesystem::path& path) {
  struct stat status {};
  // Opening a pipe to look would already end its reader's input.
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return;
  AtomicFile probe(path);
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::string read_file(const std::filesystem::path& path, std::size_t limit) {
  auto [descriptor, size] = open_regular(path);
  if (size > limit) {
    ::close(descriptor);
    throw Error(ErrorKind::usage, fmt::format("{}: found {} bytes, expected at most {}", path.string(), size, limit));
  }
  std::string contents(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    ssize_t got = ::read(descriptor, contents.data() + filled, size - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int reason = errno;
      ::close(descriptor);
      throw Error(ErrorKind::usage, fmt::format("{}: cannot read: {}", path.string(), std::strerror(reason)));
    }
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  ::close(descriptor);
  contents.resize(filled);
  return contents;
}

void write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error(ErrorKind::usage, fmt::format("{}: cannot make this folder: {}", folder.string(), error.message()));
}

}  // namespace nuri
