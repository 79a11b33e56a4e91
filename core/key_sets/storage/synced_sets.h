#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/manifest.h"

namespace qkserve {

// The manifests that a writer knew to be durable, with all files that they name. A manifest that is
// found unchanged is still durable, because versions are never used again.
class SyncedSets {
 public:
  void Add(const Manifest& manifest) { lines_.insert(Line(manifest)); }
  bool Has(const Manifest& manifest) const { return lines_.count(Line(manifest)) > 0; }

  // Returns a text with a checksum and one line for each set.
  std::string Format() const;
  // Parses a text that Format made. Returns no manifests for any other text.
  static SyncedSets Parse(absl::string_view text);

  // Reads the file .synced of a directory. The result is empty if the file cannot be read.
  static SyncedSets ReadFrom(FileSystem* files, const std::string& directory);
  absl::Status WriteTo(FileSystem* files, const std::string& directory) const;

  friend bool operator==(const SyncedSets&, const SyncedSets&) = default;

 private:
  static std::string Line(const Manifest& manifest);

  std::set<std::string, std::less<>> lines_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_
