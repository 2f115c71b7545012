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
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
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

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += fmt::format(".part{}", ::getpid());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0)
    throw Error(ErrorKind::usage, fmt::format("{}: cannot write: {}", path_.string(), std::strerror(errno)));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
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
  bool synced = ::fsync(descriptor_) == 0;
  bool closed = ::close(std::exchange(descriptor_, -1)) == 0;
  if (!synced || !closed || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    int reason = errno;
    ::unlink(temporary_.c_str());
    throw Error(ErrorKind::resource, fmt::format("{}: cannot write: {}", path_.string(), std::strerror(reason)));
  }
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

}  // namespace nuri
