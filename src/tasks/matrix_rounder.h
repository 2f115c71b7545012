#pragma once

// Not installed: for the tasks themselves.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tasks/calibration.h"

namespace nuri {

// What becomes of each weight by one of the methods of `nuri quantize`:
//   rtn    each number is rounded to the nearest code, which in bfloat12 is itself
//   gptq   with calibration, errors of a column are made good by those behind it
//   awq    with calibration, columns that meet great inputs are scaled up in front of rounding and the norm in front
//          of them down, where that is exact: in the layers of Llama's kind (RMSNorm, then query, key and value, or
//          gate and up)
// Calibration is for matrices of 4 bits; those of 8 are rounded to the nearest.
class MatrixRounder {
 public:
  using Entry = RecordingStore::Entry;
  using Read = std::function<at::Tensor(const Entry& entry)>;  // a weight's own numbers

  // `calibration`: null for rtn.
  MatrixRounder(const std::vector<Entry>& entries, const std::string& method, std::unique_ptr<Calibration> calibration,
                Read read);

  // What is written of entry `index`: codes, which the matrix has to fit (fits_in_codes), or numbers.
  at::Tensor operator()(size_t index);

 private:
  // A norm and the matrices that read its output, all of them.
  struct Fold {
    size_t norm;
    std::vector<size_t> readers;
    at::Tensor factors = {};  // [k] of the readers' columns, once known
    at::Tensor folded = {};   // the norm's weight
  };
  void find_folds();
  void solve(Fold& fold);
  Fold* fold_of(size_t index);

  const std::vector<Entry>& entries_;
  std::string method_;
  std::unique_ptr<Calibration> calibration_;
  Read read_;
  std::vector<Fold> folds_;
  std::map<size_t, size_t> place_;  // in `folds_`, of norms and readers
};

}  // namespace nuri
