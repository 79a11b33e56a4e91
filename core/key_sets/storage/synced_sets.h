#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/manifest.h"

namespace qkserve {

// The manifests that a writer knew to be durable, with all files that they name. Versions are never
// used again. So a manifest that is found unchanged is still durable.
class SyncedSets {
 public:
  void Add(const Manifest& manifest) { lines_.insert(Line(manifest)); }
  bool Has(const Manifest& manifest) const { return lines_.count(Line(manifest)) > 0; }

  // A text with a checksum, and one line for each set.
  std::string Format() const;
  // Reads a text made by Format. Returns an empty set for any other text.
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
