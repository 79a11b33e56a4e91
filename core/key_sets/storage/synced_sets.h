#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_

#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "core/key_sets/storage/manifest.h"

namespace qkserve {

// The manifests that a writer knew to be durable, with all they name. Versions never come again, so
// a manifest that is found unchanged is still durable, whatever happened since.
class SyncedSets {
 public:
  void Add(const Manifest& manifest) { lines_.insert(Line(manifest)); }
  bool Has(const Manifest& manifest) const { return lines_.count(Line(manifest)) > 0; }

  // A line a set, and a checksum of them.
  std::string Format() const;
  // None where it is not exactly what Format makes.
  static SyncedSets Parse(absl::string_view text);

  friend bool operator==(const SyncedSets&, const SyncedSets&) = default;

 private:
  static std::string Line(const Manifest& manifest);

  std::set<std::string, std::less<>> lines_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_SYNCED_SETS_H_
