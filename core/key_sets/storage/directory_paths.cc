#include "core/key_sets/storage/directory_paths.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/key_sets/key_set_name.h"

namespace qkserve {

std::string SegmentFile(int64_t version, int64_t first_row, int64_t rows) {
  return absl::StrCat("segment-", version, "-", first_row, "-", first_row + rows, ".safetensors");
}

int64_t VersionOfSegment(absl::string_view file) {
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

bool MayBeSet(const FileSystem::Entry& entry) {
  return entry.is_directory && ValidateKeySetName(entry.name).ok();
}

bool IsTemporary(absl::string_view name) {
  const auto kinds = {".segment-", ".put-", ".deleted-", ".last_version.", ".synced."};
  return absl::EndsWith(name, ".tmp") &&
         std::ranges::any_of(kinds, [&](const char* kind) { return absl::StartsWith(name, kind); });
}

int64_t VersionOfDeleted(absl::string_view name) {
  int64_t version = 0;
  if (!absl::ConsumePrefix(&name, ".deleted-")) return 0;
  return absl::SimpleAtoi(name.substr(0, name.find('-')), &version) ? version : 0;
}

std::string DirectoryPaths::TemporaryPath(absl::string_view kind, absl::string_view set) {
  std::string path;
  do {
    path = absl::StrCat(root_, "/.", kind, "-", set, "-", temporary_count_++, ".tmp");
  } while (files_->Exists(path));
  return path;
}

}  // namespace qkserve
