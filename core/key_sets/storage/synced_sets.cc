#include "core/key_sets/storage/synced_sets.h"

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/key_sets/storage/checksum.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

constexpr absl::string_view kSyncedFile = ".synced";

// The most bytes of the file. kKeySetsMax lines take less.
constexpr int64_t kSyncedBytesMax = 16 * kMiB;

}  // namespace

std::string SyncedSets::Line(const Manifest& manifest) {
  return absl::StrCat(ChecksumText(ChecksumOf(FormatManifest(manifest))), " ", manifest.name);
}

std::string SyncedSets::Format() const {
  const std::string lines = absl::StrJoin(lines_, "\n");
  return absl::StrCat(ChecksumText(ChecksumOf(lines)), "\n", lines);
}

SyncedSets SyncedSets::Parse(absl::string_view text) {
  SyncedSets sets;
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  if (!lines.empty()) sets.lines_.insert(lines.begin() + 1, lines.end());
  return sets.Format() == text ? sets : SyncedSets();
}

SyncedSets SyncedSets::ReadFrom(FileSystem* files, const std::string& directory) {
  const absl::StatusOr<std::string> text =
      ReadFile(files, absl::StrCat(directory, "/", kSyncedFile), kSyncedBytesMax);
  return text.ok() ? Parse(*text) : SyncedSets();
}

absl::Status SyncedSets::WriteTo(FileSystem* files, const std::string& directory) const {
  return ReplaceFile(files, directory, kSyncedFile, Format());
}

}  // namespace qkserve
