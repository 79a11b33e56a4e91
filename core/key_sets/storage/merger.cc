#include "core/key_sets/storage/merger.h"

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "core/key_sets/storage/merge_policy.h"
#include "core/key_sets/storage/segment_rows.h"

namespace qkserve {

absl::StatusOr<SegmentMerge> Merger::Copy(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = sets_.Find(name);
  if (!manifest.ok()) return manifest.status();
  std::vector<int64_t> bytes;
  for (const SegmentInfo& segment : manifest->segments) bytes.push_back(segment.bytes);
  const size_t count = SegmentsToMerge(bytes);
  SegmentMerge merge;
  if (count == 0) return merge;
  absl::StatusOr<std::unique_ptr<SegmentWriter>> merged = CopyNewest(*manifest, count);
  if (!merged.ok()) {
    // The set may have been replaced or deleted, and its files with it.
    const absl::StatusOr<Manifest> newer = sets_.Find(name);
    if (!newer.ok() || !(*newer == *manifest)) return merge;
    return merged.status();
  }
  absl::StatusOr<SegmentInfo> info = (*merged)->Finish();
  if (!info.ok()) return info.status();
  merge.from.assign(manifest->segments.end() - static_cast<std::ptrdiff_t>(count),
                    manifest->segments.end());
  merge.info = *std::move(info);
  merge.merged = *std::move(merged);
  return merge;
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> Merger::CopyNewest(const Manifest& manifest,
                                                                  size_t count) {
  const auto newest =
      absl::MakeConstSpan(manifest.segments).subspan(manifest.segments.size() - count);
  std::vector<std::unique_ptr<SegmentReader>> readers;
  int64_t rows = 0;
  for (const SegmentInfo& segment : newest) {
    absl::StatusOr<std::unique_ptr<SegmentReader>> reader = loader_.OpenSegment(manifest, segment);
    if (!reader.ok()) return reader.status();
    rows += (*reader)->rows();
    readers.push_back(*std::move(reader));
  }
  absl::StatusOr<std::unique_ptr<SegmentWriter>> merged =
      committer_.NewSegment(manifest.name, manifest.layout, rows);
  if (!merged.ok()) return merged.status();
  absl::Status status = CopyRows(readers, **merged);
  for (size_t i = 0; status.ok() && i < count; ++i) {
    status = loader_.CheckSegment(manifest, newest[i], *readers[i]);
  }
  if (!status.ok()) return status;
  return merged;
}

}  // namespace qkserve
