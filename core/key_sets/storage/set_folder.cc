#include "core/key_sets/storage/set_folder.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "core/key_sets/storage/directory_paths.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

constexpr absl::string_view kManifestFile = "manifest.json";

// The longest manifest that is read. It has some ten thousand segments; merging leaves far fewer.
constexpr int64_t kManifestBytesMax = 4 * kMiB;

// Returns DATA_LOSS if `status` says that a file is missing or wrong. Returns other errors
// unchanged, because a lack of memory, for example, says nothing about the file.
absl::Status ToDataLoss(const absl::Status& status) {
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

}  // namespace

std::string SetFolder::SegmentPath(const SegmentInfo& segment) const {
  return absl::StrCat(path_, "/", segment.file);
}

bool SetFolder::IsSet() const {
  if (files_->Exists(absl::StrCat(path_, "/", kManifestFile))) return true;
  const absl::Status status = files_->List(path_).status();
  return status.ok() ? HasSegments() : !absl::IsNotFound(status);
}

bool SetFolder::HasSegments() const {
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(path_);
  return entries.ok() && std::any_of(entries->begin(), entries->end(), [](const auto& entry) {
           return VersionOfSegment(entry.name) != 0;
         });
}

absl::StatusOr<Manifest> SetFolder::ReadManifest(const std::string& name) const {
  const std::string path = absl::StrCat(path_, "/", kManifestFile);
  absl::StatusOr<std::string> text = ReadFile(files_, path, kManifestBytesMax);
  if (absl::IsNotFound(text.status())) {
    if (!HasSegments()) return absl::NotFoundError(absl::StrCat("there is no key set ", name));
    // The manifest is read again, because a writer may have added it and its segments in between.
    text = ReadFile(files_, path, kManifestBytesMax);
  }
  if (absl::IsNotFound(text.status())) return absl::DataLossError(path + ": is missing");
  if (!text.ok()) return ToDataLoss(text.status());
  absl::StatusOr<Manifest> manifest = ParseManifest(name, *text);
  if (manifest.ok()) return manifest;
  return absl::DataLossError(absl::StrCat(path, ": ", manifest.status().message()));
}

absl::StatusOr<std::unique_ptr<SegmentReader>> SetFolder::OpenSegment(
    const Manifest& manifest, const SegmentInfo& segment) const {
  const std::string path = SegmentPath(segment);
  absl::StatusOr<std::unique_ptr<SegmentReader>> reader = SegmentReader::Open(files_, path);
  if (!reader.ok()) return ToDataLoss(reader.status());
  if ((*reader)->bytes() != segment.bytes) {
    return absl::DataLossError(absl::StrCat(path, ": has ", (*reader)->bytes(),
                                            " bytes, its manifest says ", segment.bytes));
  }
  if ((*reader)->rows() != segment.keys || (*reader)->layout() != manifest.layout) {
    return absl::DataLossError(path + ": its header does not fit its manifest");
  }
  return reader;
}

absl::Status SetFolder::WriteManifest(const Manifest& manifest) {
  const std::string text = FormatManifest(manifest);
  if (static_cast<int64_t>(text.size()) > kManifestBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(manifest.name, ": has ", manifest.segments.size(), " segments; merge some"));
  }
  return ReplaceFile(files_, path_, kManifestFile, text);
}

absl::Status SetFolder::AddSegment(Manifest& manifest, SegmentWriter& segment, SegmentInfo info) {
  info.file = SegmentFile(manifest.version, manifest.Keys(), segment.rows());
  absl::Status status = segment.MoveTo(SegmentPath(info));
  // The folder is synced here, because a manifest must not be durable before its segments.
  if (status.ok()) status = Sync();
  if (status.ok()) {
    manifest.segments.push_back(std::move(info));
  } else {
    TakeBackSegment(manifest.name, info.file);
  }
  return status;
}

void SetFolder::TakeBackSegment(const std::string& name, const std::string& file) {
  const absl::StatusOr<Manifest> stored = ReadManifest(name);
  if (!stored.ok()) return;
  const bool is_named = std::any_of(stored->segments.begin(), stored->segments.end(),
                                    [&](const SegmentInfo& info) { return info.file == file; });
  if (!is_named) files_->Remove(absl::StrCat(path_, "/", file)).IgnoreError();
}

void SetFolder::RemoveFilesBut(const Manifest* used) {
  std::set<std::string> used_files;
  if (used != nullptr) {
    used_files.emplace(kManifestFile);
    for (const SegmentInfo& segment : used->segments) used_files.insert(segment.file);
  }
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files_->List(path_);
  if (!entries.ok()) return;
  for (const FileSystem::Entry& entry : *entries) {
    const bool is_ours = VersionOfSegment(entry.name) != 0 || entry.name == kManifestFile ||
                         entry.name == absl::StrCat(kManifestFile, ".tmp");
    if (is_ours && used_files.count(entry.name) == 0) {
      files_->Remove(absl::StrCat(path_, "/", entry.name)).IgnoreError();
    }
  }
}

void SetFolder::Remove() {
  RemoveFilesBut(nullptr);
  files_->RemoveDirectory(path_).IgnoreError();
}

}  // namespace qkserve
