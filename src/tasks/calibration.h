#pragma once

// Not installed: for the tasks themselves.

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ops/observe.h"
#include "tasks/model_folder.h"
#include "weights/recording_store.h"

namespace nuri {

// What a file of texts makes of a model's inner inputs. The file: UTF-8 text, read in windows, or, with the ending
// .jsonl, one JSON object a line, {"messages": [...], "images": [files]} as chat templates take them or {"text": ...,
// "images": [files]} with placeholders; files from the file's own folder on.
class Calibration : private ops::ProductObserver {
 public:
  // The model is opened in its own numbers. `entries`: what it reads, of which matrices with a coding of 4 bits are
  // watched. Throws Error(usage) for a file without a text.
  Calibration(const std::filesystem::path& model, const std::filesystem::path& file,
              const std::vector<RecordingStore::Entry>& entries);

  // The sum of x^T x [k, k], float32, over the rows x that the matrix of entry `index` is multiplied with; zeros where
  // it never was. Runs the model over the texts for as many of the following matrices at once as memory is set aside
  // for, so that asking in their order costs least.
  at::Tensor moments(size_t index);

 private:
  void see(const at::Tensor& x, std::span<const ops::Factor> factors) override;
  void read(const std::filesystem::path& file);
  void add_text(const std::string& text);
  void add_line(const Json& line, const std::filesystem::path& folder, const std::string& where);
  void run(size_t first);

  std::filesystem::path folder_;
  std::unique_ptr<Processor> processor_;
  OpenedModel opened_;
  std::vector<NamedTensors> inputs_;
  std::map<const void*, size_t> watched_;  // entries by where their numbers lie
  std::vector<std::string> names_;         // of each entry
  std::vector<int64_t> widths_;            // k
  std::set<size_t> wanted_;                // in this run
  std::map<size_t, size_t> leader_;        // of the matrices that share an input, the first
  std::map<size_t, at::Tensor> moments_;   // by leader
};

}  // namespace nuri
