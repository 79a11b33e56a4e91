// Reading sets: KeySetDirectory::Load and what it shares with merging.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "core/key_sets/storage/segment_rows.h"

namespace qkserve {
namespace {

// Versions that a reader tries before it gives up on a writer that is faster.
constexpr int kLoadAttemptsMax = 10;

}  // namespace

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetDirectory::Load(
    const std::string& name, ByteBudget* budget,
    const std::shared_ptr<const KeySet>& current) const {
  for (int attempt = 0; attempt < kLoadAttemptsMax; ++attempt) {
    const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
    if (!manifest.ok()) return manifest.status();
    absl::StatusOr<std::shared_ptr<const KeySet>> set = LoadVersion(*manifest, budget, current);
    if (mode_ == Mode::kWriter || !absl::IsDataLoss(set.status())) return set;
    // A writer may have removed what the manifest names. Then there is another manifest.
    const absl::StatusOr<Manifest> newer = CurrentManifest(name);
    if (!newer.ok()) return newer.status();
    if (*newer == *manifest) return set;
  }
  return absl::UnavailableError(
      absl::StrCat("the key set ", name, " is replaced faster than it is read"));
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetDirectory::LoadVersion(
    const Manifest& manifest, ByteBudget* budget, std::shared_ptr<const KeySet> current) const {
  std::shared_ptr<std::atomic<int64_t>> served;
  if (current != nullptr) {
    if (current->version() == manifest.version) return current;
    served = current->shared_requests_served();
    const bool grew = current->base_version() == manifest.base_version &&
                      current->version() < manifest.version &&
                      current->layout() == manifest.layout && current->m() <= manifest.Keys();
    if (!grew) current = nullptr;
  }
  const int64_t known = current != nullptr ? current->m() : 0;
  absl::StatusOr<std::unique_ptr<KeySetBuilder>> builder =
      KeySetBuilder::Create(manifest.layout, manifest.Keys() - known, current, budget);
  if (!builder.ok()) return builder.status();
  int64_t first = 0;
  for (const SegmentInfo& info : manifest.segments) {
    absl::Status status = GoOn();
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

absl::Status KeySetDirectory::LoadSegment(const Manifest& manifest, const SegmentInfo& info,
                                          int64_t first, int64_t known,
                                          KeySetBuilder& builder) const {
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
    return GoOn();
  });
  if (!status.ok()) return status;
  return CheckSegment(manifest, info, **reader);
}

absl::StatusOr<std::unique_ptr<SegmentReader>> KeySetDirectory::OpenSegment(
    const Manifest& manifest, const SegmentInfo& info) const {
  const std::string path = absl::StrCat(SetPath(manifest.name), "/", info.file);
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

absl::Status KeySetDirectory::CheckSegment(const Manifest& manifest, const SegmentInfo& info,
                                           const SegmentReader& reader) const {
  if (reader.FileChecksum() == info.checksum) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(SetPath(manifest.name), "/", info.file, ": its checksum does not match"));
}

}  // namespace qkserve
