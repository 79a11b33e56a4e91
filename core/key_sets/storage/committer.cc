#include "core/key_sets/storage/committer.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_name.h"

// The state of a set has two parts. One is the manifest in memory, which this process acknowledged
// last. The other is has_unacknowledged_change. It is true if a reader may have seen a later change
// that failed. Changes have these effects:
//
//   change  outcome                    manifest in memory   has_unacknowledged_change
//   ------  -------------------------  -------------------  -------------------------
//   any     failed before its rename   stays                stays
//   any     failed after its rename    stays                true
//   Put     OK                         new base_version     false
//   Append  OK, the flag was false     same base_version    false
//   Append  OK, the flag was true      new base_version     false
//   merge   OK                         same base_version    stays
//   Delete  OK                         none                 none
//
// If a Put of a new set fails after its rename, the set is removed again. If the removal fails too,
// the new manifest stays in memory, because its version must not be given again.
//
// A new base_version equals the new version. It tells readers to discard what they have of the set.
// A reader may have loaded the failed change, and would otherwise keep the rows of that change in
// the next version. The same base_version lets readers add to an older version: see the table in
// loader.cc.

namespace qkserve {

absl::Status Committer::CheckRoot() const {
  const absl::Status status = lock_ != nullptr ? lock_->Check() : absl::OkStatus();
  return status.ok() ? status : absl::InternalError(status.message());
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> Committer::NewSegment(const std::string& name,
                                                                     const KeySetLayout& layout,
                                                                     int64_t rows) {
  RETURN_IF_ERROR(ValidateKeySetName(name));
  RETURN_IF_ERROR(layout.Validate(rows));
  // The segment is made in the root, because the set's folder may be added and removed before the
  // segment is finished.
  return SegmentWriter::Create(&files_, paths_.TemporaryPath("segment", name), layout, rows);
}

absl::Status Committer::Put(const std::string& name, int64_t version,
                            std::unique_ptr<SegmentWriter> segment) {
  RETURN_IF_ERROR(ValidateKeySetName(name));
  RETURN_IF_ERROR(CheckRoot());
  sets_.RaiseLastVersion(version);
  Manifest manifest = {.name = name,
                       .version = version,
                       .base_version = version,
                       .layout = segment->layout(),
                       .segments = {}};
  ASSIGN_OR_RETURN(SegmentInfo info, segment->Finish());
  SetFolder folder = sets_.FolderOf(name);
  // The folder of a known set may be missing: a delete may have failed after it renamed the folder,
  // and could not rename it back.
  if (absl::IsNotFound(sets_.Find(name).status()) || !folder.Exists()) {
    return AddSet(std::move(manifest), segment.get(), std::move(info));
  }
  RETURN_IF_ERROR(files_.SyncDirectory(paths_.root()));
  RETURN_IF_ERROR(folder.AddSegment(manifest, *segment, std::move(info)));
  RETURN_IF_ERROR(StoreManifest(manifest, manifest.segments.back().file));
  folder.RemoveFilesBut(&manifest);
  return absl::OkStatus();
}

absl::Status Committer::Append(const std::string& name, int64_t version,
                               std::unique_ptr<SegmentWriter> segment) {
  ASSIGN_OR_RETURN(Manifest manifest, sets_.Find(name));
  if (segment->layout() != manifest.layout) {
    return absl::InvalidArgumentError(
        absl::StrCat("the new keys' shape or type does not fit the key set ", name));
  }
  RETURN_IF_ERROR(manifest.layout.Validate(manifest.Keys() + segment->rows()));
  RETURN_IF_ERROR(CheckRoot());
  sets_.RaiseLastVersion(version);
  manifest.version = version;
  if (sets_.HasUnacknowledgedChange(name)) {
    manifest.base_version = version;
    // If the failed change was a delete, the folder must first be durable again.
    RETURN_IF_ERROR(files_.SyncDirectory(paths_.root()));
  }
  ASSIGN_OR_RETURN(SegmentInfo info, segment->Finish());
  RETURN_IF_ERROR(sets_.FolderOf(name).AddSegment(manifest, *segment, std::move(info)));
  return StoreManifest(manifest, manifest.segments.back().file);
}

absl::Status Committer::Delete(const std::string& name) {
  absl::Status found = sets_.Find(name).status();
  if (absl::IsNotFound(found) || absl::IsInvalidArgument(found)) return found;
  RETURN_IF_ERROR(CheckRoot());
  const std::string temporary = paths_.DeletedPath(sets_.last_version(), name);
  absl::Status status = MoveAndRemove(name, temporary);
  if (status.ok()) {
    sets_.Erase(name);
    return status;
  }
  if (files_.Exists(temporary)) files_.Rename(temporary, paths_.Path(name)).IgnoreError();
  sets_.MarkUnacknowledgedChange(name);
  return status;
}

absl::StatusOr<bool> Committer::ReplaceSegments(const std::string& name, SegmentMerge merge) {
  RETURN_IF_ERROR(CheckRoot());
  ASSIGN_OR_RETURN(Manifest manifest, sets_.Find(name));
  std::vector<SegmentInfo>& segments = manifest.segments;
  const auto begin =
      std::search(segments.begin(), segments.end(), merge.from.begin(), merge.from.end());
  if (begin == segments.end()) return false;
  const std::vector<SegmentInfo> newer(begin + static_cast<std::ptrdiff_t>(merge.from.size()),
                                       segments.end());
  segments.erase(begin, segments.end());
  SetFolder folder = sets_.FolderOf(name);
  RETURN_IF_ERROR(folder.AddSegment(manifest, *merge.merged, std::move(merge.info)));
  const std::string added = segments.back().file;
  segments.insert(segments.end(), newer.begin(), newer.end());
  RETURN_IF_ERROR(StoreManifest(manifest, added));
  folder.RemoveFilesBut(&manifest);
  return true;
}

absl::Status Committer::StoreManifest(const Manifest& manifest, const std::string& added) {
  const std::string& name = manifest.name;
  SetFolder folder = sets_.FolderOf(name);
  absl::Status status = folder.WriteManifest(manifest);
  if (!status.ok()) {
    folder.TakeBackSegment(name, added);
    sets_.MarkUnacknowledgedChange(name);
    return status;
  }
  // Only a new base_version tells readers to discard a change that failed. A merge keeps the flag.
  const bool is_new_base = manifest.base_version == manifest.version;
  sets_.Insert(name, manifest, !is_new_base && sets_.HasUnacknowledgedChange(name));
  return status;
}

absl::Status Committer::AddSet(Manifest manifest, SegmentWriter* segment, SegmentInfo info) {
  SetFolder temporary(&files_, paths_.TemporaryPath("put", manifest.name));
  const std::string path = paths_.Path(manifest.name);
  absl::Status status = files_.MakeDirectory(temporary.path());
  if (status.ok() && segment != nullptr) {
    status = temporary.AddSegment(manifest, *segment, std::move(info));
  }
  if (status.ok()) status = temporary.WriteManifest(manifest);
  if (!status.ok()) {
    temporary.Remove();
    return status;
  }
  status = files_.Rename(temporary.path(), path);
  if (!status.ok() && temporary.Exists()) {
    temporary.Remove();
    if (!files_.Exists(path)) return status;
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is there already and is no key set: ", status.message()));
  }
  if (status.ok()) status = files_.SyncDirectory(paths_.root());
  if (!status.ok() && RemoveSet(manifest.name).ok()) return status;
  sets_.Insert(manifest.name, manifest, /*has_unacknowledged_change=*/!status.ok());
  return status;
}

absl::Status Committer::RemoveSet(const std::string& name) {
  return MoveAndRemove(name, paths_.DeletedPath(sets_.last_version(), name));
}

absl::Status Committer::MoveAndRemove(const std::string& name, const std::string& temporary) {
  absl::Status status = files_.Rename(paths_.Path(name), temporary);
  // If an earlier change failed, the folder may be missing, but its removal may not be durable.
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  RETURN_IF_ERROR(files_.SyncDirectory(paths_.root()));
  SetFolder(&files_, temporary).RemoveFilesBut(nullptr);
  if (sets_.WriteLastVersion().ok()) files_.RemoveDirectory(temporary).IgnoreError();
  return absl::OkStatus();
}

}  // namespace qkserve
