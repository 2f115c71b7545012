#include "tasks/search.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/parallel.h"
#include "base/report.h"
#include "tasks/match.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"
#include "tasks/vector_index.h"

namespace nuri {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInside = ".nuri-index";
constexpr size_t kBatch = 16;

bool is_picture(const fs::path& path) {
  static const std::set<std::string> endings{".jpg", ".jpeg", ".png", ".webp"};
  std::string ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return endings.contains(ending);
}

// Pictures below `folder` by their path inside it.
std::map<std::string, IndexedFile> pictures_of(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw Error(ErrorKind::usage, fmt::format("{}: found no such folder, expected one with pictures", folder.string()));
  std::map<std::string, IndexedFile> found;
  auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator entry(folder, options, error), end; entry != end; entry.increment(error)) {
    if (error) throw Error(ErrorKind::usage, fmt::format("{}: {}", folder.string(), error.message()));
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (!entry->is_regular_file(ignored) || !is_picture(entry->path())) continue;
    IndexedFile file;
    file.size = static_cast<int64_t>(entry->file_size(ignored));
    auto time = entry->last_write_time(ignored).time_since_epoch();
    file.modified_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    found[entry->path().lexically_relative(folder).generic_string()] = file;
  }
  return found;
}

// Tells models apart: a hash (FNV-1a) of config.json and of each weight file's size and beginning, its header.
std::string fingerprint_of(const std::string& model) {
  constexpr size_t kBeginning = 1 << 16;
  uint64_t hash = 0xCBF29CE484222325ull;
  auto take = [&](std::string_view bytes) {
    for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  };
  fs::path folder = find_model(model);
  take(read_file(folder / "config.json"));
  std::set<fs::path> weights;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") weights.insert(entry.path());
  for (const auto& path : weights) {
    MappedFile file(path);
    take(fmt::format("{}:{};", path.filename().string(), file.bytes().size()));
    auto head = file.bytes().first(std::min(file.bytes().size(), kBeginning));
    auto tail = file.bytes().last(std::min(file.bytes().size(), kBeginning));
    for (auto part : {head, tail}) take({reinterpret_cast<const char*>(part.data()), part.size()});
  }
  return fmt::format("{:016x}", hash);
}

VectorIndex open_or_create(const IndexRequest& request, const fs::path& place, const std::string& fingerprint,
                           Matcher& matcher, const std::string& some_picture) {
  if (VectorIndex::is_there(place)) {
    VectorIndex index = VectorIndex::open(place);
    if (index.fingerprint() != fingerprint)
      throw Error(ErrorKind::usage,
                  fmt::format("{}: found an index made by another model ({}), expected one made by {}", place.string(),
                              index.model(), request.model.model));
    return index;
  }
  int64_t width = matcher.embed_pictures({some_picture}, request.limits).width;
  std::string source = request.index.empty() ? ".." : fs::absolute(request.folder).lexically_normal().string();
  return VectorIndex::create(place, source, request.model.model, fingerprint, width);
}

// Encodes one batch of files. When one of them cannot be read, each is tried by itself.
void index_batch(VectorIndex& index, Matcher& matcher, const fs::path& folder, const PictureLimits& limits,
                 std::span<const std::pair<std::string, IndexedFile>> batch, IndexReport& report) {
  std::vector<std::string> paths;
  for (const auto& [path, file] : batch) paths.push_back((folder / path).string());
  try {
    index.add(batch, matcher.embed_pictures(paths, limits).values);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    if (batch.size() > 1) {
      for (size_t i = 0; i < batch.size(); ++i)
        index_batch(index, matcher, folder, limits, batch.subspan(i, 1), report);
      return;
    }
    warn(error.what());
    IndexedFile file = batch[0].second;
    file.error = error.what();
    index.add_unreadable(batch[0].first, file);
    ++report.unreadable;
  }
}

fs::path place_of(const std::string& index) {
  fs::path given(index), inside = given / kInside;
  return VectorIndex::is_there(given) || !VectorIndex::is_there(inside) ? given : inside;
}

// scores[i] = row i . query
std::vector<float> scores_of(std::span<const float> matrix, const std::vector<float>& query) {
  int64_t width = static_cast<int64_t>(query.size()), rows = static_cast<int64_t>(matrix.size()) / width;
  auto as_tensor = [](const float* values, at::IntArrayRef shape) {
    return at::from_blob(const_cast<float*>(values), shape, at::kFloat);  // only read
  };
  std::vector<float> scores(static_cast<size_t>(rows));
  at::Tensor out = at::from_blob(scores.data(), {rows}, at::kFloat);
  at::mv_out(out, as_tensor(matrix.data(), {rows, width}), as_tensor(query.data(), {width}));
  return scores;
}

std::vector<float> mean_of(const Embeddings& first, const Embeddings& second) {
  std::vector<float> sum(static_cast<size_t>(std::max(first.width, second.width)));
  for (const Embeddings* rows : {&first, &second})
    for (int64_t i = 0; i < rows->count(); ++i)
      for (int64_t d = 0; d < rows->width; ++d) sum[static_cast<size_t>(d)] += rows->row(i)[d];
  float length = std::sqrt(std::inner_product(sum.begin(), sum.end(), sum.begin(), 0.0f));
  for (float& value : sum) value /= length;
  return sum;
}

}  // namespace

IndexReport index_folder(const IndexRequest& request) {
  fs::path folder(request.folder), place = request.index.empty() ? folder / kInside : fs::path(request.index);
  auto found = pictures_of(folder);
  if (found.empty() && !VectorIndex::is_there(place))
    throw Error(ErrorKind::usage,
                fmt::format("{}: found no picture, expected JPEG, PNG or WebP files", folder.string()));
  std::string fingerprint = fingerprint_of(request.model.model);
  Matcher matcher(request.model);
  std::string some_picture = found.empty() ? "" : (folder / found.begin()->first).string();
  VectorIndex index = open_or_create(request, place, fingerprint, matcher, some_picture);
  index.lock();

  IndexReport report;
  std::vector<std::string> gone;
  for (const auto& [path, file] : index.files())
    if (!found.contains(path)) gone.push_back(path);
  for (const auto& path : gone) index.remove(path), ++report.removed;
  std::vector<std::pair<std::string, IndexedFile>> fresh;
  for (const auto& [path, file] : found) {
    auto known = index.files().find(path);
    bool is_new = known == index.files().end();
    bool same = !is_new && known->second.size == file.size && known->second.modified_ns == file.modified_ns;
    if (same) {
      ++report.unchanged;
      continue;
    }
    ++(is_new ? report.added : report.changed);
    fresh.emplace_back(path, file);
  }
  for (size_t begin = 0; begin < fresh.size(); begin += kBatch) {
    check_interrupt();
    auto batch = std::span(fresh).subspan(begin, std::min(kBatch, fresh.size() - begin));
    index_batch(index, matcher, folder, request.limits, batch, report);
    report_progress("indexing", static_cast<int64_t>(begin + batch.size()), static_cast<int64_t>(fresh.size()));
  }
  index.compact();
  return report;
}

std::vector<SearchHit> search(const SearchRequest& request) {
  if (request.texts.empty() && request.pictures.empty())
    throw Error(ErrorKind::usage, "found neither a text nor a picture to look for, expected one of them");
  fs::path place = place_of(request.index);
  VectorIndex index = VectorIndex::open(place);
  ModelOptions model = request.model;
  if (model.model.empty()) model.model = index.model();
  if (fingerprint_of(model.model) != index.fingerprint())
    throw Error(ErrorKind::usage,
                fmt::format("{}: found an index made by another model than {} is now, expected {} as it "
                            "was; nuri index makes a new one elsewhere (-o)",
                            place.string(), model.model, index.model()));
  Matcher matcher(model);
  Embeddings seen = matcher.embed_pictures(request.pictures, request.limits), said;
  if (!request.texts.empty()) said = matcher.embed_texts(request.texts);
  std::vector<float> query = mean_of(seen, said);
  if (static_cast<int64_t>(query.size()) != index.width())
    throw Error(ErrorKind::format, fmt::format("{}: found vectors of {} numbers, expected the model's {}",
                                               place.string(), index.width(), query.size()));
  std::vector<float> scores = scores_of(index.vectors(), query);
  fs::path folder = (place / index.source()).lexically_normal();
  std::vector<SearchHit> hits;
  for (const auto& [path, file] : index.files())
    if (file.row >= 0) hits.push_back({(folder / path).string(), scores[static_cast<size_t>(file.row)]});
  auto better = [](const SearchHit& a, const SearchHit& b) { return a.score > b.score; };
  size_t kept = std::min(hits.size(), static_cast<size_t>(std::max<int64_t>(request.count, 0)));
  std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(kept), hits.end(), better);
  hits.resize(kept);
  return hits;
}

}  // namespace nuri
