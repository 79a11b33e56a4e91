#ifndef QKSERVE_CORE_SCORING_PACKED_KEYS_H_
#define QKSERVE_CORE_SCORING_PACKED_KEYS_H_

#include <cstdint>

#include "core/kernels/panels.h"
#include "core/scoring/row_reducer.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Keys and values that stay on the server, packed in panels and multiplied by the packed kernel.
// Any number of requests may share a pass. Their queries, outputs, masks and k may differ.
//
// A score is a function of its query, its key and d (panels.h). Rows are reduced one by one. The
// keys alone decide the splits and steps. So the bits of a result do not depend on the pass, or on
// the other requests in it. All keys of a step are multiplied, because the sums of a row would
// otherwise depend on the keys that other rows attend.
class PackedKeys : public KeySource {
 public:
  struct Types {
    DataType keys = DataType::kFloat32;
    DataType values = DataType::kFloat32;
  };

  // Returns panels of a matrix that are consecutive in memory, from panel `panel` on: at least one
  // and at most `count_max`.
  virtual PanelRun Panels(int64_t matrix, int64_t panel, int64_t count_max) const = 0;

  RowCut Cut(absl::Span<const ScoreRequest* const> requests) const final;
  bool IsShared() const final { return true; }
  absl::Status Multiply(const BlockQueries& queries, int64_t matrix, KeyRange keys, float* products,
                        int64_t stride) const final;
  void AddWeightedValues(const float* weights, int64_t stride, int64_t rows, int64_t matrix,
                         KeyRange keys, const ContextSums& sums) const final;
  ScoreWork WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const final;

 protected:
  PackedKeys(const KeySizes& sizes, const Types& types);

 private:
  // Rows of a matrix that may share blocks. The rows that read values come first.
  struct Section {
    int64_t first_row, value_end;
    RowCost most;  // each member: the largest of any row
  };
  void CutSection(const Section& section, RowCut& cut) const;
  void CutKeys(const RowCost& most, int64_t value_rows, BlockRun& run) const;

  const Types types_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_PACKED_KEYS_H_
