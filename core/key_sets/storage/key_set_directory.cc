#include "core/key_sets/storage/key_set_directory.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/key_sets/key_set_name.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

constexpr absl::string_view kManifestFile = "manifest.json";

// Some ten thousand segments: far more than there are where segments are merged at times.
constexpr int64_t kManifestBytesMax = 4 * kMiB;

absl::Status NoSuchSet(const std::string& name) {
  return absl::NotFoundError(absl::StrCat("there is no key set ", name));
}

}  // namespace

// Version and rows make it unique: a version adds one segment, and merging it with others gives it
// other rows.
std::string KeySetDirectory::SegmentFile(int64_t version, int64_t first_row, int64_t rows) {
  return absl::StrCat("segment-", version, "-", first_row, "-", first_row + rows, ".safetensors");
}

int64_t KeySetDirectory::VersionOfSegment(absl::string_view file) {
  const absl::string_view name = file;
  if (!absl::ConsumePrefix(&file, "segment-") || !absl::ConsumeSuffix(&file, ".safetensors")) {
    return 0;
  }
  const std::vector<absl::string_view> parts = absl::StrSplit(file, '-');
  int64_t version = 0;
  int64_t begin = 0;
  int64_t end = 0;
  const bool is_ours = parts.size() == 3 && absl::SimpleAtoi(parts[0], &version) &&
                       absl::SimpleAtoi(parts[1], &begin) && absl::SimpleAtoi(parts[2], &end) &&
                       SegmentFile(version, begin, end - begin) == name;
  return is_ours ? version : 0;
}

absl::Status KeySetDirectory::ToDataLoss(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return absl::DataLossError(status.message());
    default:
      return status;
  }
}

int64_t KeySetDirectory::last_version() const {
  MutexLock lock(&mutex_);
  return last_version_;
}

void KeySetDirectory::RaiseLastVersion(int64_t version) {
  MutexLock lock(&mutex_);
  last_version_ = std::max(last_version_, version);
}

std::string KeySetDirectory::SetPath(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

absl::StatusOr<std::vector<std::string>> KeySetDirectory::ListNames() const {
  std::vector<std::string> names;
  if (mode_ == Mode::kWriter) {
    MutexLock lock(&mutex_);
    for (const auto& [name, set] : sets_) names.push_back(name);
    return names;
  }
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(path_);
  if (!entries.ok()) return entries.status();
  for (const FileSystem::Entry& entry : *entries) {
    if (entry.is_directory && ValidateKeySetName(entry.name).ok() && IsSet(entry.name)) {
      names.push_back(entry.name);
    }
  }
  return names;
}

bool KeySetDirectory::IsSet(const std::string& name) const {
  if (files_->Exists(absl::StrCat(SetPath(name), "/", kManifestFile))) return true;
  const absl::Status status = files_->List(SetPath(name)).status();
  return status.ok() ? HasSegments(name) : !absl::IsNotFound(status);
}

bool KeySetDirectory::HasSegments(const std::string& name) const {
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(SetPath(name));
  return entries.ok() && std::any_of(entries->begin(), entries->end(), [](const auto& entry) {
           return VersionOfSegment(entry.name) != 0;
         });
}

absl::StatusOr<int64_t> KeySetDirectory::StoredVersion(const std::string& name) const {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  return manifest->version;
}

absl::StatusOr<Manifest> KeySetDirectory::ReadManifest(const std::string& name) const {
  const std::string path = absl::StrCat(SetPath(name), "/", kManifestFile);
  absl::StatusOr<std::string> text = ReadFile(files_, path, kManifestBytesMax);
  if (absl::IsNotFound(text.status())) {
    if (!HasSegments(name)) return NoSuchSet(name);
    // A writer may have put it there meanwhile, with its segments.
    text = ReadFile(files_, path, kManifestBytesMax);
  }
  if (absl::IsNotFound(text.status())) return absl::DataLossError(path + ": is missing");
  if (!text.ok()) return ToDataLoss(text.status());
  absl::StatusOr<Manifest> manifest = ParseManifest(name, *text);
  if (!manifest.ok())
    return absl::DataLossError(absl::StrCat(path, ": ", manifest.status().message()));
  return manifest;
}

absl::StatusOr<Manifest> KeySetDirectory::CurrentManifest(const std::string& name) const {
  absl::Status status = ValidateKeySetName(name);
  if (!status.ok()) return status;
  if (mode_ == Mode::kReader) return ReadManifest(name);
  MutexLock lock(&mutex_);
  const auto found = sets_.find(name);
  return found == sets_.end() ? NoSuchSet(name) : found->second.manifest;
}

absl::StatusOr<std::unique_ptr<SegmentWriter>> KeySetDirectory::NewSegment(
    const std::string& name, const KeySetLayout& layout, int64_t rows) {
  absl::Status status = ValidateKeySetName(name);
  if (status.ok()) status = layout.Validate(rows);
  if (!status.ok()) return status;
  // In the root, so that the set's directory may come and go meanwhile.
  return SegmentWriter::Create(files_, AsidePath("segment", name), layout, rows);
}

absl::Status KeySetDirectory::AddSegment(const std::string& folder, Manifest& manifest,
                                         SegmentWriter& segment, SegmentInfo info) {
  info.file = SegmentFile(manifest.version, manifest.Keys(), segment.rows());
  absl::Status status = segment.MoveTo(absl::StrCat(folder, "/", info.file));
  // The manifest must not be there before its segment.
  if (status.ok()) status = files_->SyncDirectory(folder);
  if (status.ok()) manifest.segments.push_back(std::move(info));
  return status;
}

absl::Status KeySetDirectory::WriteManifest(const std::string& folder, const Manifest& manifest) {
  const std::string text = FormatManifest(manifest);
  if (static_cast<int64_t>(text.size()) > kManifestBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(manifest.name, ": has ", manifest.segments.size(), " segments; merge some"));
  }
  return ReplaceFile(files_, folder, kManifestFile, text);
}

absl::Status KeySetDirectory::StoreManifest(const Manifest& manifest) {
  absl::Status status = WriteManifest(SetPath(manifest.name), manifest);
  MutexLock lock(&mutex_);
  StoredSet& set = sets_.at(manifest.name);
  if (!status.ok()) {
    set.forked = true;
  } else {
    set.manifest = manifest;
    // A merge does not make good for a change that failed before it.
    if (manifest.base_version == manifest.version) set.forked = false;
  }
  return status;
}

absl::Status KeySetDirectory::CheckRoot() const {
  const absl::Status status = lock_ != nullptr ? lock_->Check() : absl::OkStatus();
  return status.ok() ? status : absl::InternalError(status.message());
}

absl::Status KeySetDirectory::Put(const std::string& name, int64_t version,
                                  std::unique_ptr<SegmentWriter> segment) {
  absl::Status status = ValidateKeySetName(name);
  if (status.ok()) status = CheckRoot();
  if (!status.ok()) return status;
  RaiseLastVersion(version);
  Manifest manifest;
  manifest.name = name;
  manifest.version = version;
  manifest.base_version = version;
  manifest.layout = segment->layout();
  absl::StatusOr<SegmentInfo> info = segment->Finish();
  if (!info.ok()) return info.status();
  // The folder may be missing where a delete has failed.
  if (absl::IsNotFound(CurrentManifest(name).status()) || !files_->Exists(SetPath(name))) {
    return AddSet(manifest, segment.get(), *std::move(info));
  }
  status = files_->SyncDirectory(path_);
  if (status.ok()) status = AddSegment(SetPath(name), manifest, *segment, *std::move(info));
  if (status.ok()) status = StoreManifest(manifest);
  if (status.ok()) RemoveUnused(SetPath(name), &manifest);
  return status;
}

absl::Status KeySetDirectory::Append(const std::string& name, int64_t version,
                                     std::unique_ptr<SegmentWriter> segment) {
  absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  if (segment->layout() != manifest->layout) {
    return absl::InvalidArgumentError(
        absl::StrCat("the new keys' shape or type does not fit the key set ", name));
  }
  absl::Status status = manifest->layout.Validate(manifest->Keys() + segment->rows());
  if (status.ok()) status = CheckRoot();
  if (!status.ok()) return status;
  RaiseLastVersion(version);
  manifest->version = version;
  bool forked = false;
  {
    MutexLock lock(&mutex_);
    forked = sets_.at(name).forked;
  }
  if (forked) {
    // Readers who have seen the change that failed must not take it for what this one grew from;
    // and where that was a delete, the set's folder must be here to stay.
    manifest->base_version = version;
    status = files_->SyncDirectory(path_);
    if (!status.ok()) return status;
  }
  absl::StatusOr<SegmentInfo> info = segment->Finish();
  if (!info.ok()) return info.status();
  status = AddSegment(SetPath(name), *manifest, *segment, *std::move(info));
  if (status.ok()) status = StoreManifest(*manifest);
  return status;
}

absl::Status KeySetDirectory::Delete(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (absl::IsNotFound(manifest.status()) || absl::IsInvalidArgument(manifest.status())) {
    return manifest.status();
  }
  absl::Status status = CheckRoot();
  if (!status.ok()) return status;
  status = RemoveSet(name, /*keep=*/true);
  MutexLock lock(&mutex_);
  if (status.ok()) {
    sets_.erase(name);
  } else {
    sets_.at(name).forked = true;
  }
  return status;
}

void KeySetDirectory::RemoveUnused(const std::string& folder, const Manifest* manifest) {
  std::set<std::string> used;
  if (manifest != nullptr) {
    used.emplace(kManifestFile);
    for (const SegmentInfo& segment : manifest->segments) used.insert(segment.file);
  }
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(folder);
  if (!entries.ok()) return;
  for (const FileSystem::Entry& entry : *entries) {
    // What else lies there is not ours.
    const bool ours = VersionOfSegment(entry.name) != 0 || entry.name == kManifestFile ||
                      entry.name == absl::StrCat(kManifestFile, ".tmp");
    if (ours && used.count(entry.name) == 0) {
      files_->Remove(absl::StrCat(folder, "/", entry.name)).IgnoreError();
    }
  }
}

void KeySetDirectory::RemoveFolder(const std::string& folder) {
  RemoveUnused(folder, nullptr);
  files_->RemoveDirectory(folder).IgnoreError();
}

std::string KeySetDirectory::AsidePath(absl::string_view what, const std::string& name) {
  std::string path;
  do {
    path = absl::StrCat(path_, "/.", what, "-", name, "-", names_aside_++, ".tmp");
  } while (files_->Exists(path));
  return path;
}

absl::Status KeySetDirectory::AddSet(Manifest& manifest, SegmentWriter* segment, SegmentInfo info) {
  const std::string aside = AsidePath("put", manifest.name);
  absl::Status status = files_->MakeDirectory(aside);
  if (status.ok() && segment != nullptr) {
    status = AddSegment(aside, manifest, *segment, std::move(info));
  }
  if (status.ok()) status = WriteManifest(aside, manifest);
  if (!status.ok()) {
    RemoveFolder(aside);
    return status;
  }
  status = files_->Rename(aside, SetPath(manifest.name));
  if (!status.ok() && files_->Exists(aside)) {
    RemoveFolder(aside);
    if (!files_->Exists(SetPath(manifest.name))) return status;
    return absl::FailedPreconditionError(absl::StrCat(
        SetPath(manifest.name), " is there already and is no key set: ", status.message()));
  }
  if (status.ok()) status = files_->SyncDirectory(path_);
  StoredSet set = {manifest};
  if (!status.ok()) {
    // Readers may have seen it: its version must not come again.
    if (RemoveSet(manifest.name, /*keep=*/false).ok()) return status;
    set.forked = true;
  }
  MutexLock lock(&mutex_);
  sets_.insert_or_assign(manifest.name, std::move(set));
  return status;
}

absl::Status KeySetDirectory::RemoveSet(const std::string& name, bool keep) {
  // The name keeps the version, which must not come again, until a file does: where the disk is
  // full that needs what is removed here.
  const std::string aside = AsidePath(absl::StrCat("deleted-", last_version()), name);
  absl::Status status = files_->Rename(SetPath(name), aside);
  // Gone already: by a delete that failed later.
  if (status.ok() || absl::IsNotFound(status)) status = files_->SyncDirectory(path_);
  if (status.ok()) {
    RemoveUnused(aside, nullptr);
    if (WriteLastVersion().ok()) files_->RemoveDirectory(aside).IgnoreError();
  } else if (keep && files_->Exists(aside)) {
    files_->Rename(aside, SetPath(name)).IgnoreError();
  }
  return status;
}

}  // namespace qkserve
