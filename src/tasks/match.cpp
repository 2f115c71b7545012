#include "tasks/match.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/report.h"
#include "models/parts/inputs.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"

namespace nuri {
namespace {

constexpr size_t kBatch = 16;  // pictures or texts encoded at a time

Embeddings to_rows(const at::Tensor& vectors) {
  at::Tensor flat = vectors.to(at::kCPU, at::kFloat).contiguous();
  const float* from = flat.const_data_ptr<float>();
  return {flat.size(1), std::vector<float>(from, from + flat.numel())};
}

at::Tensor to_tensor(const Embeddings& rows) {
  return at::from_blob(const_cast<float*>(rows.values.data()), {rows.count(), rows.width}, at::kFloat);
}

// encode(first, count) for batches of `total` items, with a progress report.
template <class Encode>
Embeddings in_batches(size_t total, const char* task, const Encode& encode) {
  Embeddings all;
  for (size_t begin = 0; begin < total; begin += kBatch) {
    check_interrupt();
    Embeddings some = to_rows(encode(begin, std::min(kBatch, total - begin)));
    all.width = some.width;
    all.values.insert(all.values.end(), some.values.begin(), some.values.end());
    if (total > kBatch)
      report_progress(task, static_cast<int64_t>(std::min(begin + kBatch, total)), static_cast<int64_t>(total), "");
  }
  return all;
}

std::string filled(const std::string& pattern, const std::string& text) {
  size_t at = pattern.find("{}");
  if (at == std::string::npos)
    throw Error(ErrorKind::usage,
                fmt::format("the template {}: found no {{}}, expected it where the label stands", shown_text(pattern)));
  return pattern.substr(0, at) + text + pattern.substr(at + 2);
}

}  // namespace

struct Matcher::Parts {
  OpenedModel opened;
  Embedder* model = nullptr;
  std::unique_ptr<PairProcessor> pairs;        // null: the model reads pictures alone
  std::unique_ptr<PictureProcessor> pictures;  // then these are read so

  const PictureProcessor& picture_processor() const { return pairs ? pairs->pictures() : *pictures; }
};

Matcher::Matcher(const ModelOptions& options) : parts_(std::make_unique<Parts>()) {
  Parts& p = *parts_;
  std::filesystem::path folder = find_model(options.model);
  p.opened = open_model(options);
  p.model = dynamic_cast<Embedder*>(p.opened.model.get());
  if (p.model == nullptr)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found a model without a space for pictures and texts, expected "
                            "one such as CLIPModel, SiglipModel or Dinov2Model",
                            folder.string()));
  if (p.model->similarity()) {
    p.pairs = open_pair_processor(folder);
  } else {
    p.pictures = open_picture_processor(folder);
  }
}

Matcher::~Matcher() = default;
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;

Embeddings Matcher::embed_texts(const std::vector<std::string>& texts) {
  Parts& p = *parts_;
  if (!p.pairs) throw Error(ErrorKind::unsupported, "found a text, but this model reads pictures alone");
  c10::InferenceMode inference;
  return in_batches(texts.size(), "texts", [&](size_t begin, size_t count) {
    return p.model->embed_texts(to_tensors(p.pairs->texts(std::span(texts).subspan(begin, count))));
  });
}

Embeddings Matcher::embed_pictures(const std::vector<std::string>& files, const PictureLimits& limits) {
  Parts& p = *parts_;
  c10::InferenceMode inference;
  return in_batches(files.size(), "pictures", [&](size_t begin, size_t count) {
    auto first = files.begin() + static_cast<std::ptrdiff_t>(begin);
    std::vector<Image> pictures = read_pictures({first, first + static_cast<std::ptrdiff_t>(count)}, limits);
    return p.model->embed_pictures(to_tensors(p.picture_processor().prepare(pictures).arrays));
  });
}

Match Matcher::match(const std::vector<std::string>& pictures, const std::vector<std::string>& texts,
                     const std::vector<std::string>& templates, const PictureLimits& limits) {
  if (pictures.empty()) throw Error(ErrorKind::usage, "found no picture, expected at least one (-i)");
  if (texts.empty()) throw Error(ErrorKind::usage, "found no text, expected at least one (-t or --labels)");
  auto similarity = parts_->model->similarity();
  if (!similarity) throw Error(ErrorKind::unsupported, "found a text, but this model reads pictures alone");
  std::vector<std::string> patterns = templates.empty() ? std::vector<std::string>{"{}"} : templates, sentences;
  for (const auto& text : texts)
    for (const auto& pattern : patterns) sentences.push_back(filled(pattern, text));
  Embeddings said = embed_texts(sentences), seen = embed_pictures(pictures, limits);
  int64_t count = static_cast<int64_t>(texts.size());
  at::Tensor words = to_tensor(said).view({count, -1, said.width}).mean(1);
  words = words / words.norm(2, -1, true);
  at::Tensor logits = (to_tensor(seen).matmul(words.t()).to(at::kDouble) * similarity->scale + similarity->bias);
  at::Tensor likely = similarity->sigmoid ? logits.sigmoid() : logits.softmax(-1);
  Match match{similarity->sigmoid ? "sigmoid" : "softmax", {}, {}};
  for (int64_t picture = 0; picture < logits.size(0); ++picture) {
    at::Tensor row = logits[picture].contiguous(), chances = likely[picture].contiguous();
    match.logits.emplace_back(row.const_data_ptr<double>(), row.const_data_ptr<double>() + count);
    match.probabilities.emplace_back(chances.const_data_ptr<double>(), chances.const_data_ptr<double>() + count);
  }
  return match;
}

std::vector<std::string> read_labels(const std::string& file) {
  std::string text = read_file(file);
  std::vector<std::string> labels;
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    size_t first = line.find_first_not_of(" \t\r"), last = line.find_last_not_of(" \t\r");
    if (first != std::string::npos) labels.push_back(line.substr(first, last - first + 1));
    begin = end + 1;
  }
  if (labels.empty()) throw Error(ErrorKind::usage, fmt::format("{}: found no label, expected one a line", file));
  return labels;
}

void write_npy(const std::string& path, const Embeddings& embeddings) {
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
                                   embeddings.count(), embeddings.width);
  constexpr size_t kPreamble = 10, kAlignment = 64;
  header.append(kAlignment - (kPreamble + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(header.size() & 0xFF);
  start += static_cast<char>(header.size() >> 8);
  AtomicFile file(path);
  file.write(start + header);
  file.write(embeddings.values.data(), embeddings.values.size() * sizeof(float));
  file.commit();
}

}  // namespace nuri
