#include "tasks/vector_index.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/config_reader.h"
#include "base/error.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostWidth = 1 << 20;
constexpr int64_t kMostRows = int64_t{1} << 40;

[[noreturn]] void fail(const fs::path& path, const char* what) {
  throw Error(ErrorKind::resource, fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

// Puts bytes at `offset` of a file, whatever stood there and behind, and waits until they are on disk.
void write_at(const fs::path& path, int64_t offset, const void* data, size_t size) {
  int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) fail(path, "cannot be written");
  const char* from = static_cast<const char*>(data);
  bool fine = ::ftruncate(file, offset) == 0 && ::lseek(file, offset, SEEK_SET) == offset;
  while (fine && size > 0) {
    ssize_t written = ::write(file, from, size);
    if (written < 0 && errno == EINTR) continue;
    fine = written > 0;
    if (fine) from += written, size -= static_cast<size_t>(written);
  }
  fine = fine && ::fdatasync(file) == 0;
  int error = errno;
  ::close(file);
  errno = error;
  if (!fine) fail(path, "cannot be written");
}

std::string line_of(const std::string& path, const IndexedFile& file) {
  Json line = {{"path", path}, {"size", file.size}, {"modified", file.modified_ns}};
  if (file.row >= 0) {
    line["row"] = file.row;
  } else {
    line["error"] = file.error;
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

VectorIndex::~VectorIndex() {
  if (lock_ >= 0) ::close(lock_);
}

VectorIndex::VectorIndex(VectorIndex&& other) noexcept { *this = std::move(other); }

VectorIndex& VectorIndex::operator=(VectorIndex&& other) noexcept {
  if (this == &other) return *this;
  if (lock_ >= 0) ::close(lock_);
  folder_ = std::move(other.folder_);
  source_ = std::move(other.source_), model_ = std::move(other.model_), fingerprint_ = std::move(other.fingerprint_);
  width_ = other.width_, generation_ = other.generation_;
  rows_ = other.rows_, journal_bytes_ = other.journal_bytes_;
  files_ = std::move(other.files_);
  lock_ = std::exchange(other.lock_, -1);
  mapped_ = std::move(other.mapped_);
  return *this;
}

bool VectorIndex::is_there(const fs::path& folder) { return nuri::is_there(folder / "index.json"); }

fs::path VectorIndex::path_of(const char* name, int64_t generation, const char* ending) const {
  return folder_ / fmt::format("{}-{}.{}", name, generation, ending);
}
fs::path VectorIndex::vectors_path() const { return path_of("vectors", generation_, "f32"); }
fs::path VectorIndex::journal_path() const { return path_of("files", generation_, "jsonl"); }

void VectorIndex::write_description(int64_t generation) const {
  Json description = {{"format", 1},     {"source", source_},       {"model", model_}, {"fingerprint", fingerprint_},
                      {"width", width_}, {"generation", generation}};
  AtomicFile file(folder_ / "index.json");
  file.write(description.dump(2) + "\n");
  file.commit();
}

VectorIndex VectorIndex::create(const fs::path& folder, const std::string& source, const std::string& model,
                                const std::string& fingerprint, int64_t width) {
  if (is_there(folder)) throw Error(ErrorKind::usage, fmt::format("{}: found an index there already", folder.string()));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ErrorKind::usage, fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
  VectorIndex index;
  index.folder_ = folder;
  index.source_ = source, index.model_ = model, index.fingerprint_ = fingerprint, index.width_ = width;
  write_at(index.vectors_path(), 0, nullptr, 0);
  write_at(index.journal_path(), 0, nullptr, 0);
  index.write_description(index.generation_);
  return index;
}

VectorIndex VectorIndex::open(const fs::path& folder) {
  fs::path file = folder / "index.json";
  if (!is_there(folder))
    throw Error(
        ErrorKind::usage,
        fmt::format("{}: found no index there (no index.json), expected one made by nuri index", folder.string()));
  ConfigReader description(read_json_file(file), file.string());
  VectorIndex index;
  index.folder_ = folder;
  if (description.required<int64_t>("format") != 1) description.reject("format", "1");
  index.source_ = description.required<std::string>("source");
  index.model_ = description.required<std::string>("model");
  index.fingerprint_ = description.required<std::string>("fingerprint");
  index.width_ = description.required<int64_t>("width");
  index.generation_ = description.required<int64_t>("generation");
  if (index.width_ < 1 || index.width_ > kMostWidth) description.reject("width", fmt::format("1 to {}", kMostWidth));
  index.read_journal();
  return index;
}

void VectorIndex::read_journal() {
  std::string text = read_file(journal_path());
  int64_t number = 0;
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    take_line(std::string_view(text).substr(begin, end - begin), ++number);
  journal_bytes_ = static_cast<int64_t>(begin);  // what follows is a line that its writer did not finish
  std::error_code error;
  auto bytes = fs::file_size(vectors_path(), error);
  if (error || static_cast<int64_t>(bytes) / 4 / width_ < rows_)
    throw Error(ErrorKind::format, fmt::format("{}: found {} bytes, expected at least {} rows of {} float32 numbers",
                                               vectors_path().string(), error ? 0 : bytes, rows_, width_));
}

void VectorIndex::take_line(std::string_view line, int64_t number) {
  std::string where = fmt::format("{}:{}", journal_path().string(), number);
  ConfigReader entry(parse_json(line, where), where);
  auto path = entry.required<std::string>("path");
  if (entry.has("removed")) {
    files_.erase(path);
    return;
  }
  IndexedFile file;
  file.size = entry.required<int64_t>("size");
  file.modified_ns = entry.required<int64_t>("modified");
  if (entry.has("error")) {
    file.error = entry.required<std::string>("error");
  } else {
    file.row = entry.required<int64_t>("row");
    if (file.row < 0 || file.row > kMostRows) entry.reject("row", fmt::format("0 to {}", kMostRows));
    rows_ = std::max(rows_, file.row + 1);
  }
  files_[path] = std::move(file);
}

void VectorIndex::lock() {
  fs::path path = folder_ / "index.json";
  // A lock of its own file: index.json is replaced by renaming, and a lock would stay with what was there before.
  path.replace_filename("lock");
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) fail(path, "cannot be opened");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    throw Error(ErrorKind::usage, fmt::format("{}: another process writes to this index", folder_.string()));
  files_.clear();  // as the last writer left it
  rows_ = 0;
  read_journal();
}

void VectorIndex::append_line(const std::string& line) {
  write_at(journal_path(), journal_bytes_, line.data(), line.size());
  journal_bytes_ += static_cast<int64_t>(line.size());
}

void VectorIndex::add(std::span<const std::pair<std::string, IndexedFile>> files, std::span<const float> vectors) {
  write_at(vectors_path(), rows_ * width_ * 4, vectors.data(), vectors.size_bytes());
  std::string lines;
  int64_t row = rows_;
  for (auto [path, file] : files) {
    file.row = row++;
    lines += line_of(path, file);
    files_[path] = file;
  }
  append_line(lines);
  rows_ = row;
}

void VectorIndex::add_unreadable(const std::string& path, IndexedFile file) {
  file.row = -1;
  append_line(line_of(path, file));
  files_[path] = std::move(file);
}

void VectorIndex::remove(const std::string& path) {
  append_line(Json({{"path", path}, {"removed", true}}).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  files_.erase(path);
}

void VectorIndex::compact() {
  int64_t alive = 0;
  for (const auto& [path, file] : files_) alive += file.row >= 0;
  if (rows_ <= 2 * alive || rows_ < 2) return;
  std::span<const float> all = vectors();
  std::vector<float> kept;
  std::string lines;
  auto files = files_;
  int64_t row = 0;
  for (auto& [path, file] : files) {
    if (file.row >= 0) {
      kept.insert(kept.end(), all.begin() + file.row * width_, all.begin() + (file.row + 1) * width_);
      file.row = row++;
    }
    lines += line_of(path, file);
  }
  int64_t next = generation_ + 1;
  write_at(path_of("vectors", next, "f32"), 0, kept.data(), kept.size() * 4);
  write_at(path_of("files", next, "jsonl"), 0, lines.data(), lines.size());
  write_description(next);  // from here on the new ones count
  std::error_code ignored;
  fs::remove(vectors_path(), ignored);
  fs::remove(journal_path(), ignored);
  generation_ = next;
  rows_ = row, journal_bytes_ = static_cast<int64_t>(lines.size());
  files_ = std::move(files);
  mapped_.reset();
}

std::span<const float> VectorIndex::vectors() {
  if (rows_ == 0) return {};
  mapped_.emplace(vectors_path());
  auto bytes = mapped_->bytes();
  return {reinterpret_cast<const float*>(bytes.data()), static_cast<size_t>(rows_ * width_)};
}

}  // namespace nuri
