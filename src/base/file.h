#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace nuri {

// A file mapped copy-on-write (MAP_PRIVATE): pages are shared with the page cache until written.
// Throws Error(usage) when the file is missing or unreadable, Error(resource) when it cannot be mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A file that appears whole or not at all: bytes go to a file without a name (where the file system has none,
// to a temporary neighbour), commit() syncs it to disk and renames it over `path`, or over what a link there points
// to; without commit() nothing is left. A device or a pipe is written as it is. Every failure (full disk, missing
// right) is an Error(usage) or Error(resource) that names `path`.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  enum class Kind { unnamed, neighbour, direct };

  std::filesystem::path path_;
  std::filesystem::path target_;  // `path_` with links followed
  std::filesystem::path temporary_;
  Kind kind_ = Kind::unnamed;
  int descriptor_ = -1;
};

// Throws as AtomicFile would when `path` cannot be written, and leaves nothing: to refuse before long work.
void expect_writable(const std::filesystem::path& path);

// Whether anything has that name, a folder or a pipe too: reading it will say what is wrong.
bool is_there(const std::filesystem::path& path);

// The whole file as bytes. Throws Error(usage) when it is missing, unreadable or larger than `limit`.
std::string read_file(const std::filesystem::path& path, std::size_t limit = std::size_t{1} << 30);

// AtomicFile in one call.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);

// The folder and those above it, where they are not there yet. Throws Error(usage) that names it.
void make_folder(const std::filesystem::path& folder);

}  // namespace nuri
