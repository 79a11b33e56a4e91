#include "core/key_sets/storage/merger.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace qkserve {
namespace {

absl::StatusOr<std::unique_ptr<SegmentWriter>> Copy(const SetFolder& folder, Committer& committer,
                                                    const Manifest& manifest,
                                                    absl::Span<const SegmentInfo> segments) {
  std::vector<std::unique_ptr<SegmentReader>> readers;
  int64_t rows = 0;
  for (const SegmentInfo& segment : segments) {
    ASSIGN_OR_RETURN(readers.emplace_back(), folder.OpenSegment(manifest, segment));
    rows += segment.keys;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<SegmentWriter> merged,
                   committer.NewSegment(manifest.name, manifest.layout, rows));
  // In each matrix the rows of a segment follow those of the segment before it.
  for (const Column& column : manifest.layout.Columns()) {
    int64_t begin = 0;
    const ColumnSink write = [&](const Column&, int64_t row, int64_t count, const std::byte* from) {
      return merged->Write(column.id, begin + row, count, from);
    };
    for (int64_t matrix = 0; matrix < manifest.layout.Matrices(); ++matrix) {
      for (const std::unique_ptr<SegmentReader>& reader : readers) {
        RETURN_IF_ERROR(reader->ReadRows(column, reader->rows(), write));
        begin += reader->rows();
      }
    }
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    RETURN_IF_ERROR(readers[i]->CheckFileChecksum(segments[i].checksum));
  }
  return merged;
}

}  // namespace

size_t SegmentsToMerge(absl::Span<const int64_t> segment_bytes) {
  int64_t sum = 0;
  int64_t largest = 0;
  for (size_t count = 1; count <= segment_bytes.size(); ++count) {
    const int64_t bytes = segment_bytes[segment_bytes.size() - count];
    sum += bytes;
    largest = std::max(largest, bytes);
    if (count >= kMergeSegmentsMin && largest <= sum / 4) return count;
  }
  return 0;
}

absl::StatusOr<SegmentMerge> CopySegmentsToMerge(const StoredSets& sets, Committer& committer,
                                                 const std::string& name) {
  ASSIGN_OR_RETURN(const Manifest manifest, sets.Find(name));
  std::vector<int64_t> bytes;
  for (const SegmentInfo& segment : manifest.segments) bytes.push_back(segment.bytes);
  const size_t count = SegmentsToMerge(bytes);
  SegmentMerge merge;
  if (count == 0) return merge;
  merge.from.assign(manifest.segments.end() - static_cast<std::ptrdiff_t>(count),
                    manifest.segments.end());
  absl::StatusOr<std::unique_ptr<SegmentWriter>> merged =
      Copy(sets.FolderOf(name), committer, manifest, merge.from);
  if (!merged.ok()) {
    // Meanwhile the set may have been replaced or deleted, and its files removed.
    const absl::StatusOr<Manifest> newer = sets.Find(name);
    if (!newer.ok() || *newer != manifest) return SegmentMerge();
    return merged.status();
  }
  ASSIGN_OR_RETURN(merge.info, (*merged)->Finish());
  merge.merged = *std::move(merged);
  return merge;
}

}  // namespace qkserve
