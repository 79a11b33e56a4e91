#include "core/key_sets/key_set_directory.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/key_sets/checksum.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/merge_policy.h"
#include "core/limits.h"

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
    if (entry.is_directory && ValidateKeySetName(entry.name).ok() &&
        files_->Exists(absl::StrCat(SetPath(entry.name), "/", kManifestFile))) {
      names.push_back(entry.name);
    }
  }
  return names;
}

absl::StatusOr<int64_t> KeySetDirectory::StoredVersion(const std::string& name) const {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  return manifest->version;
}

absl::StatusOr<Manifest> KeySetDirectory::ReadManifest(const std::string& name) const {
  const std::string path = absl::StrCat(SetPath(name), "/", kManifestFile);
  const absl::StatusOr<std::string> text = ReadFile(files_, path, kManifestBytesMax);
  if (absl::IsNotFound(text.status())) return NoSuchSet(name);
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
  return SegmentWriter::Create(
      files_, absl::StrCat(path_, "/.segment-", name, "-", segments_written_++, ".tmp"), layout,
      rows);
}

absl::Status KeySetDirectory::AddSegment(Manifest& manifest, SegmentWriter& segment,
                                         SegmentInfo info) {
  const std::string directory = SetPath(manifest.name);
  info.file = SegmentFile(manifest.version, manifest.Keys(), segment.rows());
  absl::Status status = segment.MoveTo(absl::StrCat(directory, "/", info.file));
  // The manifest must not be there before its segment.
  if (status.ok()) status = files_->SyncDirectory(directory);
  if (status.ok()) manifest.segments.push_back(std::move(info));
  return status;
}

absl::Status KeySetDirectory::StoreManifest(const Manifest& manifest) {
  const std::string text = FormatManifest(manifest);
  if (static_cast<int64_t>(text.size()) > kManifestBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(manifest.name, ": has ", manifest.segments.size(), " segments; merge some"));
  }
  absl::Status status = ReplaceFile(files_, SetPath(manifest.name), kManifestFile, text);
  MutexLock lock(&mutex_);
  if (status.ok()) {
    sets_.insert_or_assign(manifest.name, StoredSet{manifest});
  } else if (const auto found = sets_.find(manifest.name); found != sets_.end()) {
    found->second.forked = true;
  }
  return status;
}

absl::Status KeySetDirectory::MakeSetDirectory(const std::string& name) {
  absl::Status status = files_->MakeDirectory(SetPath(name));
  if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
  // Also where it exists: an earlier put may have got no further.
  return files_->SyncDirectory(path_);
}

absl::Status KeySetDirectory::Put(const std::string& name, int64_t version,
                                  std::unique_ptr<SegmentWriter> segment) {
  absl::Status status = ValidateKeySetName(name);
  if (!status.ok()) return status;
  RaiseLastVersion(version);
  status = MakeSetDirectory(name);
  if (!status.ok()) return status;
  Manifest manifest;
  manifest.name = name;
  manifest.version = version;
  manifest.base_version = version;
  manifest.layout = segment->layout();
  absl::StatusOr<SegmentInfo> info = segment->Finish();
  if (!info.ok()) return info.status();
  status = AddSegment(manifest, *segment, *std::move(info));
  if (status.ok()) status = StoreManifest(manifest);
  if (status.ok()) RemoveUnused(name, &manifest);
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
  if (!status.ok()) return status;
  RaiseLastVersion(version);
  manifest->version = version;
  {
    // Readers who have seen the change that failed must not take it for what this one grew from.
    MutexLock lock(&mutex_);
    if (sets_.at(name).forked) manifest->base_version = version;
  }
  absl::StatusOr<SegmentInfo> info = segment->Finish();
  if (!info.ok()) return info.status();
  status = AddSegment(*manifest, *segment, *std::move(info));
  if (status.ok()) status = StoreManifest(*manifest);
  return status;
}

absl::Status KeySetDirectory::Delete(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (absl::IsNotFound(manifest.status()) || absl::IsInvalidArgument(manifest.status())) {
    return manifest.status();
  }
  absl::Status status = WriteLastVersion();
  if (!status.ok()) return status;
  const std::string directory = SetPath(name);
  status = files_->Remove(absl::StrCat(directory, "/", kManifestFile));
  // Gone already: by a delete that failed later.
  if (absl::IsNotFound(status)) status = absl::OkStatus();
  if (status.ok()) status = files_->SyncDirectory(directory);
  if (!status.ok()) return status;
  {
    MutexLock lock(&mutex_);
    sets_.erase(name);
  }
  RemoveUnused(name, nullptr);
  files_->RemoveDirectory(directory).IgnoreError();
  return absl::OkStatus();
}

void KeySetDirectory::RemoveUnused(const std::string& name, const Manifest* manifest) {
  std::set<std::string> used;
  if (manifest != nullptr) {
    for (const SegmentInfo& segment : manifest->segments) used.insert(segment.file);
  }
  const std::string directory = SetPath(name);
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(directory);
  if (!entries.ok()) return;
  for (const FileSystem::Entry& entry : *entries) {
    // What else lies there is not ours.
    const bool ours =
        VersionOfSegment(entry.name) != 0 || entry.name == absl::StrCat(kManifestFile, ".tmp");
    if (ours && used.count(entry.name) == 0) {
      files_->Remove(absl::StrCat(directory, "/", entry.name)).IgnoreError();
    }
  }
}

absl::StatusOr<KeySetDirectory::Merge> KeySetDirectory::CopyForMerge(const std::string& name) {
  const absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  std::vector<int64_t> bytes;
  for (const SegmentInfo& segment : manifest->segments) bytes.push_back(segment.bytes);
  const size_t count = SegmentsToMerge(bytes);
  Merge merge;
  if (count == 0) return merge;
  absl::StatusOr<std::unique_ptr<SegmentWriter>> merged = Merged(*manifest, count);
  if (!merged.ok()) return merged.status();
  absl::StatusOr<SegmentInfo> info = (*merged)->Finish();
  if (!info.ok()) return info.status();
  merge.from.assign(manifest->segments.end() - static_cast<std::ptrdiff_t>(count),
                    manifest->segments.end());
  merge.info = *std::move(info);
  merge.merged = *std::move(merged);
  return merge;
}

absl::StatusOr<bool> KeySetDirectory::FinishMerge(const std::string& name, Merge merge) {
  absl::StatusOr<Manifest> manifest = CurrentManifest(name);
  if (!manifest.ok()) return manifest.status();
  std::vector<SegmentInfo>& segments = manifest->segments;
  const auto begin =
      std::search(segments.begin(), segments.end(), merge.from.begin(), merge.from.end());
  if (begin == segments.end()) return false;
  const std::vector<SegmentInfo> behind(begin + static_cast<std::ptrdiff_t>(merge.from.size()),
                                        segments.end());
  segments.erase(begin, segments.end());
  absl::Status status = AddSegment(*manifest, *merge.merged, std::move(merge.info));
  if (!status.ok()) return status;
  segments.insert(segments.end(), behind.begin(), behind.end());
  status = StoreManifest(*manifest);
  if (!status.ok()) return status;
  RemoveUnused(name, &*manifest);
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
