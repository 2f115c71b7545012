#include "tasks/matrix_rounder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "weights/calibrated_rounding.h"
#include "weights/packing.h"

namespace nuri {
namespace {

// Below one layer's scope: an RMSNorm without a bias, and all that reads its output.
struct FoldNames {
  std::string_view norm;
  std::vector<std::string_view> readers;
};
const FoldNames kFolds[] = {
    {"input_layernorm.weight", {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}},
    {"post_attention_layernorm.weight", {"mlp.gate_proj.weight", "mlp.up_proj.weight"}},
};

at::Tensor bytes_of_codes(const at::Tensor& numbers, kernels::Coding coding) {
  if (auto codes = pack_in_codes(numbers, coding)) return codes->bytes;
  throw Error(ErrorKind::format,
              "found numbers that 12 bits have no room for any more, expected a file that does not change");
}

bool is_calibrated(const RecordingStore::Entry& entry) { return entry.coding && kernels::is_four_bits(*entry.coding); }

}  // namespace

MatrixRounder::MatrixRounder(const std::vector<Entry>& entries, const std::string& method,
                             std::unique_ptr<Calibration> calibration, Read read)
    : entries_(entries), method_(method), calibration_(std::move(calibration)), read_(std::move(read)) {
  if (method_ == "awq") find_folds();
}

void MatrixRounder::find_folds() {
  std::map<std::string_view, size_t> by_name;
  for (size_t i = 0; i < entries_.size(); ++i) by_name.emplace(entries_[i].name, i);
  for (size_t i = 0; i < entries_.size(); ++i)
    for (const auto& [norm, readers] : kFolds) {
      if (!entries_[i].name.ends_with(norm)) continue;
      std::string layer = entries_[i].name.substr(0, entries_[i].name.size() - norm.size());
      Fold fold{i, {}};
      for (auto reader : readers)
        if (auto found = by_name.find(layer + std::string(reader)); found != by_name.end())
          if (is_calibrated(entries_[found->second])) fold.readers.push_back(found->second);
      bool biased = by_name.contains(layer + std::string(norm.substr(0, norm.size() - 6)) + "bias");
      if (biased || fold.readers.size() != readers.size()) continue;
      place_.emplace(i, folds_.size());
      for (size_t reader : fold.readers) place_.emplace(reader, folds_.size());
      folds_.push_back(std::move(fold));
    }
}

MatrixRounder::Fold* MatrixRounder::fold_of(size_t index) {
  auto place = place_.find(index);
  if (place == place_.end()) return nullptr;
  Fold& fold = folds_[place->second];
  if (!fold.factors.defined()) solve(fold);
  return &fold;
}

// The norm's weight is rounded to its type; the factors are what that leaves of those that were wanted, so that nothing
// but the rounding of codes changes.
void MatrixRounder::solve(Fold& fold) {
  std::vector<at::Tensor> matrices;
  for (size_t reader : fold.readers) matrices.push_back(read_(entries_[reader]));
  at::Tensor norm = read_(entries_[fold.norm]);
  at::Tensor wanted = find_column_factors(matrices, calibration_->moments(fold.readers.front()),
                                          *entries_[fold.readers.front()].coding);
  fold.folded = (norm.to(at::kFloat) / wanted).to(norm.scalar_type());
  at::Tensor left = norm.to(at::kFloat) / fold.folded.to(at::kFloat);
  fold.factors = at::where(at::isfinite(left).logical_and(left > 0), left, at::ones_like(left));
  fold.folded = at::where(fold.factors == 1, norm, fold.folded);
}

at::Tensor MatrixRounder::operator()(size_t index) {
  const Entry& entry = entries_[index];
  Fold* fold = fold_of(index);
  if (!entry.coding) return fold != nullptr ? fold->folded : read_(entry);
  at::Tensor numbers = read_(entry);
  try {
    if (!calibration_ || !is_calibrated(entry)) return bytes_of_codes(numbers, *entry.coding);
    at::Tensor moments = calibration_->moments(index);
    if (method_ == "gptq") return round_with_feedback(numbers, moments, *entry.coding).bytes;
    if (fold != nullptr) {
      numbers = numbers.to(at::kFloat) * fold->factors;
      moments = moments / (fold->factors.unsqueeze(1) * fold->factors);
    }
    return round_weighed(numbers, moments, *entry.coding).bytes;
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: {}", entry.name, error.what()));
  }
}

}  // namespace nuri
