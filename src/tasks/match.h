#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common.h"

namespace nuri {

// Vectors of length 1, row after row.
struct Embeddings {
  int64_t width = 0;
  std::vector<float> values;

  int64_t count() const { return width > 0 ? static_cast<int64_t>(values.size()) / width : 0; }
  const float* row(int64_t index) const { return values.data() + index * width; }
};

// How well texts fit pictures.
struct Match {
  std::string kind;                                // "softmax": over a picture's texts; "sigmoid": of each pair
  std::vector<std::vector<double>> logits;         // [picture][text]
  std::vector<std::vector<double>> probabilities;  // likewise
};

// A model that puts pictures, and perhaps texts, into one space (CLIP, SigLIP, DINOv2, ...), ready for many questions.
class Matcher {
 public:
  // Throws Error(unsupported) for a model of another kind.
  explicit Matcher(const ModelOptions& options);
  ~Matcher();
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;

  // Throws Error(unsupported) where the model reads pictures alone.
  Embeddings embed_texts(const std::vector<std::string>& texts);
  // Files; several are encoded at a time, with a progress report.
  Embeddings embed_pictures(const std::vector<std::string>& files, const PictureLimits& limits = {});

  // `templates`: what surrounds each text at its "{}", the vectors of all being averaged (Radford et al. 2021,
  // zero-shot classification); none: the texts as they are. Throws Error(usage) for a template without "{}".
  Match match(const std::vector<std::string>& pictures, const std::vector<std::string>& texts,
              const std::vector<std::string>& templates = {}, const PictureLimits& limits = {});

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Non-empty lines of a file, without the blanks around them. Throws Error(usage) when there is none.
std::vector<std::string> read_labels(const std::string& file);

// Writes rows as NumPy's .npy (float32, [rows, width]).
void write_npy(const std::string& path, const Embeddings& embeddings);

}  // namespace nuri
