// Merging small segments: what KeySetDirectory::Merge says.

#include <algorithm>
#include <utility>
#include <vector>

#include "core/key_sets/storage/key_set_directory.h"
#include "core/key_sets/storage/merge_policy.h"
#include "core/key_sets/storage/segment_rows.h"

namespace qkserve {

absl::StatusOr<KeySetDirectory::Merge> KeySetDirectory::CopyForMerge(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  std::vector<int64_t> bytes;
  for (const SegmentInfo& segment : manifest->segments) bytes.push_back(segment.bytes);
  const size_t count = SegmentsToMerge(bytes);
  Merge merge;
  if (count == 0) return merge;
  absl::StatusOr<std::unique_ptr<SegmentWriter>> merged = Merged(*manifest, count);
  if (!merged.ok()) {
    // The set may have been replaced, or deleted, and its files with it.
    const absl::StatusOr<Manifest> newer = CurrentManifest(name);
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

absl::StatusOr<bool> KeySetDirectory::FinishMerge(const std::string& name, Merge merge) {
  absl::Status status = CheckRoot();
  if (!status.ok()) return status;
  absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  std::vector<SegmentInfo>& segments = manifest->segments;
  const auto begin =
      std::search(segments.begin(), segments.end(), merge.from.begin(), merge.from.end());
  if (begin == segments.end()) return false;
  const std::vector<SegmentInfo> behind(begin + static_cast<std::ptrdiff_t>(merge.from.size()),
                                        segments.end());
  segments.erase(begin, segments.end());
  status = AddSegment(SetPath(name), *manifest, *merge.merged, std::move(merge.info));
  if (!status.ok()) return status;
  segments.insert(segments.end(), behind.begin(), behind.end());
  status = StoreManifest(*manifest);
  if (!status.ok()) return status;
  RemoveUnused(SetPath(name), &*manifest);
  return true;
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> KeySetDirectory::Merged(const Manifest& manifest,
                                                                       size_t count) {
  std::vector<std::unique_ptr<SegmentReader>> readers;
  int64_t rows = 0;
  for (size_t i = manifest.segments.size() - count; i < manifest.segments.size(); ++i) {
    absl::StatusOr<std::unique_ptr<SegmentReader>> reader =
        OpenSegment(manifest, manifest.segments[i]);
    if (!reader.ok()) return reader.status();
    rows += (*reader)->rows();
    readers.push_back(*std::move(reader));
  }
  absl::StatusOr<std::unique_ptr<SegmentWriter>> merged =
      NewSegment(manifest.name, manifest.layout, rows);
  if (!merged.ok()) return merged.status();
  absl::Status status = CopyRows(readers, **merged);
  if (!status.ok()) return status;
  for (size_t i = 0; i < count; ++i) {
    status = CheckSegment(manifest, manifest.segments[manifest.segments.size() - count + i],
                          *readers[i]);
    if (!status.ok()) return status;
  }
  return merged;
}

}  // namespace qkserve
