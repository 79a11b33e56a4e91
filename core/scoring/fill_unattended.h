#ifndef QKSERVE_CORE_SCORING_FILL_UNATTENDED_H_
#define QKSERVE_CORE_SCORING_FILL_UNATTENDED_H_

#include <cstdint>

#include "core/scoring/problem.h"
#include "core/scoring/row_cut.h"

namespace qkserve {

// Columns of top k beyond the number of keys that are written with their row, in about 1 us. More
// columns get tiles of their own.
inline constexpr int64_t kPaddingMax = 1024;

// Results that no key has a part in, which are known before anything is computed: all of a request
// without keys, and of top k the columns beyond the number of keys (kPaddingMax). Each such element
// is one place. A row without elements has one place, its log-sum-exp.
struct UnattendedColumns {
  int64_t rows = 0;
  int64_t first = 0;  // of the columns
  int64_t columns = 0;
  // 0 where there is nothing to fill.
  int64_t Places() const;
  // Columns of top k that are written with their row.
  int64_t ColumnsOfRow() const { return rows > 0 ? first : columns; }
};
UnattendedColumns UnattendedColumnsOf(const ScoreRequest& request, const KeySizes& sizes);

// Places that one tile fills, about 2 ms.
inline constexpr int64_t kFillPlaces = int64_t{1} << 20;

// Fills places [tile * kFillPlaces, (tile + 1) * kFillPlaces): scores of -inf and keys of -1 (top
// k), context of 0, and log-sum-exp of -inf.
void FillUnattended(const ScoreRequest& request, const UnattendedColumns& columns, int64_t tile);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_FILL_UNATTENDED_H_
