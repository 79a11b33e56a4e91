#ifndef QKSERVE_TESTS_TOOLS_QKCTL_CONFORMANCE_CASE_H_
#define QKSERVE_TESTS_TOOLS_QKCTL_CONFORMANCE_CASE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The elements of an .npy file as float64, whatever their type is in the file.
struct Array {
  Shape shape;
  std::vector<double> values;
};

// Reads a file of format version 1 as NumPy writes it. The test fails if the file is anything else.
Array ReadArray(const std::filesystem::path& path);

// One folder of conformance data: the inputs and options of a request, the expected results, and
// the bounds of their errors.
//
// The bound of a score is ScoreBound. An error e in a score changes a weight by a factor of about 1
// + e. So the bounds of weights and context follow from the largest bound of the row's attended
// scores.
class ConformanceCase {
 public:
  explicit ConformanceCase(std::filesystem::path folder);

  // True if the folder has this result. "scores" stands for expect_scores.npy.
  bool Expects(absl::string_view name) const;
  Array Expected(absl::string_view name) const;

  // Returns the flags of qkctl score, except for the output.
  const std::vector<std::string>& flags() const { return flags_; }
  std::string ValuesFlag() const;

  // Returns masked scores [.., n, m] in float64. They are computed if the folder lacks them.
  const Array& masked() const { return masked_; }
  int64_t keys() const { return masked_.shape.back(); }
  int64_t rows() const { return static_cast<int64_t>(row_bounds_.size()); }

  // Returns how far a score, capped or masked score may be from `expected`.
  double ScoreBoundAt(int64_t element, double expected) const;

  // Returns the largest bound of the row's masked scores, or 0 if the row attends no key.
  double RowBound(int64_t row) const { return row_bounds_[row]; }
  bool IsDead(int64_t row) const;

  // Returns Σ w|v| for each row and column of the context.
  std::vector<double> ContextMagnitudes() const;

 private:
  void ReadFlags();
  void ReadMasked();

  const std::filesystem::path folder_;
  double scale_ = 1;
  bool is_only_scaled_ = true;  // no softcap, no mask of any kind
  std::vector<std::string> flags_;
  Array masked_;
  std::vector<double> magnitudes_;
  int64_t d_ = 0;
  std::vector<double> row_bounds_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_TOOLS_QKCTL_CONFORMANCE_CASE_H_
