// Scores, capped and masked scores. They are written as they are computed.

#include "core/kernels/element_conversion.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {
namespace {

class Scores final : public RowReducer {
 public:
  bool NeedsAllScores() const override { return true; }

  void Take(const RowGroup& group, int64_t /*split*/, const Step& step) const override {
    for (size_t i = 0; i < group.rows.size(); ++i) {
      const BlockRow& row = group.rows[i];
      const DataType type = row.request->problem.result_type;
      ConvertFromFloat32(
          type, step.Staged(i, row), step.Count(),
          ResultOf(row, group.source.sizes().m) + step.keys.begin * ElementBytes(type));
    }
  }
};

}  // namespace

const RowReducer& ScoresReducer() {
  static const Scores reducer;
  return reducer;
}

}  // namespace qkserve
