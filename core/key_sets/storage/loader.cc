#include "core/key_sets/storage/loader.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/segment_rows.h"
#include "core/key_sets/storage/set_folder.h"

namespace qkserve {
namespace {

// Versions that a reader tries before it gives up because the writer is faster.
constexpr int kLoadAttemptsMax = 10;

// The set in memory is an older version of the stored one: its rows are the first of the stored
// set.
bool HasGrown(const KeySet& current, const Manifest& stored) {
  return current.base_version() == stored.base_version && current.version() < stored.version &&
         current.layout() == stored.layout && current.m() <= stored.Keys();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const KeySet>> Loader::Load(
    const std::string& name, ByteBudget* budget,
    const std::shared_ptr<const KeySet>& current) const {
  for (int attempt = 0; attempt < kLoadAttemptsMax; ++attempt) {
    const absl::StatusOr<Manifest> manifest = sets_.Find(name);
    if (!manifest.ok()) return manifest.status();
    absl::StatusOr<std::shared_ptr<const KeySet>> set = LoadVersion(*manifest, budget, current);
    if (sets_.mode() == DirectoryMode::kWriter || !absl::IsDataLoss(set.status())) return set;
    // A writer may have removed files that the manifest names. Then there is another manifest.
    const absl::StatusOr<Manifest> newer = sets_.Find(name);
    if (!newer.ok()) return newer.status();
    if (*newer == *manifest) return set;
  }
  return absl::UnavailableError(
      absl::StrCat("the key set ", name, " is replaced faster than it is read"));
}

// The version in memory (`current`) and the stored manifest decide what is read:
//
//   in memory                        stored                             action
//   -------------------------------  ---------------------------------  --------------------------
//   none                             any                                read all rows
//   version v                        version v                          keep the one in memory
//   base_version b, version < v      base_version b, version v, the     read the rows behind those
//                                    same layout, not fewer keys        in memory
//   anything else                    any                                read all rows
//
// A new base_version is written by a Put, and by an Append after a change that failed: see the
// table in committer.cc.
absl::StatusOr<std::shared_ptr<const KeySet>> Loader::LoadVersion(
    const Manifest& manifest, ByteBudget* budget, std::shared_ptr<const KeySet> current) const {
  std::shared_ptr<std::atomic<int64_t>> served;
  if (current != nullptr) {
    if (current->version() == manifest.version) return current;
    served = current->shared_requests_served();
    if (!HasGrown(*current, manifest)) current = nullptr;
  }
  const int64_t known = current != nullptr ? current->m() : 0;
  absl::StatusOr<std::unique_ptr<KeySetBuilder>> builder =
      KeySetBuilder::Create(manifest.layout, manifest.Keys() - known, current, budget);
  if (!builder.ok()) return builder.status();
  int64_t first = 0;
  for (const SegmentInfo& info : manifest.segments) {
    absl::Status status = observer_.CheckNotStopping();
    if (!status.ok()) return status;
    if (current == nullptr || first + info.keys > known) {
      status = LoadSegment(manifest, info, first, known, **builder);
      if (!status.ok()) return status;
    }
    first += info.keys;
  }
  return (*builder)->Finish(manifest.name, manifest.version, std::move(served),
                            manifest.base_version);
}

absl::Status Loader::LoadSegment(const Manifest& manifest, const SegmentInfo& info, int64_t first,
                                 int64_t known, KeySetBuilder& builder) const {
  absl::StatusOr<std::unique_ptr<SegmentReader>> reader = OpenSegment(manifest, info);
  if (!reader.ok()) return reader.status();
  // A segment with some new rows is read whole, because the checksum is of the whole file. The
  // policy of merging bounds what that costs.
  absl::Status status = ReadRows(**reader, [&](const Column& column, int64_t matrix, int64_t row,
                                               int64_t count, const std::byte* rows) {
    const int64_t to = first + row - known;
    const int64_t skipped = std::clamp<int64_t>(-to, 0, count);
    if (skipped < count) {
      builder.Add(column.id, matrix, to + skipped, count - skipped,
                  rows + skipped * column.RowBytes());
    }
    return observer_.CheckNotStopping();
  });
  if (!status.ok()) return status;
  return CheckSegment(manifest, info, **reader);
}

absl::StatusOr<std::unique_ptr<SegmentReader>> Loader::OpenSegment(const Manifest& manifest,
                                                                   const SegmentInfo& info) const {
  const std::string path = sets_.FolderOf(manifest.name).SegmentPath(info);
  absl::StatusOr<std::unique_ptr<SegmentReader>> reader = SegmentReader::Open(files_, path);
  if (!reader.ok()) return ToDataLoss(reader.status());
  if ((*reader)->bytes() != info.bytes) {
    return absl::DataLossError(
        absl::StrCat(path, ": has ", (*reader)->bytes(), " bytes, its manifest says ", info.bytes));
  }
  if ((*reader)->rows() != info.keys || (*reader)->layout() != manifest.layout) {
    return absl::DataLossError(path + ": its header does not fit its manifest");
  }
  return reader;
}

absl::Status Loader::CheckSegment(const Manifest& manifest, const SegmentInfo& info,
                                  const SegmentReader& reader) const {
  if (reader.FileChecksum() == info.checksum) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(sets_.FolderOf(manifest.name).SegmentPath(info),
                                          ": its checksum does not match"));
}

}  // namespace qkserve
