#ifndef QKSERVE_TESTS_SUPPORT_KEY_SET_ROWS_H_
#define QKSERVE_TESTS_SUPPORT_KEY_SET_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/byte_budget.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/storage/key_set_directory.h"

namespace qkserve {

// Rows that are put or appended at once. The seed defines the bits of the elements, some of which
// may be NaN.
struct Part {
  uint64_t seed = 0;
  int64_t rows = 0;
};

// The layouts that tests iterate over, for example "[2, 3, m, 64] FLOAT16, dv 5 BFLOAT16".
std::vector<KeySetLayout> LayoutsOfAllKinds();

// The bytes of one row of a column.
std::vector<std::byte> RowBytes(const KeySetLayout& layout, ColumnId column, uint64_t seed,
                                int64_t matrix, int64_t row);

// Adds all rows of the part, `step` rows at a time.
void AddPart(const KeySetLayout& layout, const Part& part, KeySetBuilder& builder, int64_t step);
absl::Status WritePart(const KeySetLayout& layout, const Part& part, SegmentWriter& segment,
                       int64_t step = 7);

// Does both steps of a merge. Returns true if segments were merged.
absl::StatusOr<bool> MergeSegments(KeySetDirectory& directory, const std::string& name);

// Makes a set in memory by putting the first part and appending the others.
std::shared_ptr<const KeySet> BuildKeySet(const KeySetLayout& layout,
                                          const std::vector<Part>& parts, ByteBudget* budget);

// Returns the shapes, types and packed bytes of a set's keys and values. Equal sets have equal
// texts.
std::string Contents(const KeySet& set);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_KEY_SET_ROWS_H_
