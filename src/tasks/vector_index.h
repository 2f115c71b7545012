#pragma once

// Not installed: part of search.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace nuri {

// A file as an index knows it.
struct IndexedFile {
  int64_t size = 0, modified_ns = 0;
  int64_t row = -1;   // of the matrix; -1: it could not be read
  std::string error;  // why
};

// Vectors of files on disk, a folder of three files:
//   index.json         {"format": 1, "source": folder, "model": name, "fingerprint": hex, "width": D, "generation": G}
//   vectors-G.f32      rows of D float32, only ever appended to
//   files-G.jsonl      a journal, one object a line: {"path", "size", "modified", "row"}, or "error" in place of "row",
//                      or {"path", "removed": true}; the last line about a path counts
// A row is on disk before the line that names it, so that whatever moment a writer is killed at, the next one goes on
// behind the last whole line. One writer at a time, readers at any time.
class VectorIndex {
 public:
  // Throws Error(usage) when there is none, Error(format) for a broken one.
  static VectorIndex open(const std::filesystem::path& folder);
  // Makes the folder where needed. Throws Error(usage) where an index lies already.
  static VectorIndex create(const std::filesystem::path& folder, const std::string& source, const std::string& model,
                            const std::string& fingerprint, int64_t width);
  static bool is_there(const std::filesystem::path& folder);

  ~VectorIndex();
  VectorIndex(VectorIndex&&) noexcept;
  VectorIndex& operator=(VectorIndex&&) noexcept;

  // The folder of the files, from the index's own when relative.
  const std::string& source() const { return source_; }
  const std::string& model() const { return model_; }
  const std::string& fingerprint() const { return fingerprint_; }
  int64_t width() const { return width_; }
  const std::map<std::string, IndexedFile>& files() const { return files_; }

  // Becomes the writer. Throws Error(usage) while another process is.
  void lock();
  // Writer: appends vectors [files, width] and then the lines that name them.
  void add(std::span<const std::pair<std::string, IndexedFile>> files, std::span<const float> vectors);
  void add_unreadable(const std::string& path, IndexedFile file);
  void remove(const std::string& path);
  // Writer: writes both files anew without what nobody names any more, when that is more than half.
  void compact();

  // The matrix as it lies on disk, mapped; rows of files() lie in it.
  std::span<const float> vectors();

 private:
  VectorIndex() = default;
  std::filesystem::path vectors_path() const;
  std::filesystem::path journal_path() const;
  std::filesystem::path path_of(const char* name, int64_t generation, const char* ending) const;
  void read_journal();
  void take_line(std::string_view line, int64_t number);
  void append_line(const std::string& line);
  void write_description(int64_t generation) const;

  std::filesystem::path folder_;
  std::string source_, model_, fingerprint_;
  int64_t width_ = 0, generation_ = 1;
  int64_t rows_ = 0;           // named by the journal, dead ones too
  int64_t journal_bytes_ = 0;  // up to the last whole line
  std::map<std::string, IndexedFile> files_;
  int lock_ = -1;
  std::optional<MappedFile> mapped_;
};

}  // namespace nuri
