#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_ROWS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/key_sets/key_set_layout.h"
#include "core/key_sets/storage/segment_reader.h"
#include "core/key_sets/storage/segment_writer.h"

namespace qkserve {

// Gets `count` consecutive rows of one matrix of a column, from `row` on, not necessarily aligned.
using ColumnSink = std::function<absl::Status(const Column& column, int64_t matrix, int64_t row,
                                              int64_t count, const std::byte* rows)>;

// Reads a segment to its end, about 256 KiB at a time, one column after another.
// RESOURCE_EXHAUSTED: no memory for that. Or the sink's error.
absl::Status ReadRows(SegmentReader& reader, const ColumnSink& sink);

// Writes the rows of segments of one layout, one segment after another in each matrix, and reads
// the segments to their ends. Requires a writer for the sum of their rows.
absl::Status CopyRows(absl::Span<const std::unique_ptr<SegmentReader>> readers,
                      SegmentWriter& writer);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SEGMENT_ROWS_H_
