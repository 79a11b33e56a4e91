#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_MANIFEST_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/key_set_layout.h"

namespace qkserve {

// A segment's file. Its rows follow those of the segments before it.
struct SegmentInfo {
  std::string file;
  int64_t keys = 0;  // keys of each matrix
  int64_t bytes = 0;
  uint64_t checksum = 0;  // see SegmentChecksum

  friend bool operator==(const SegmentInfo&, const SegmentInfo&) = default;
};

// The contents of a version of a set.
struct Manifest {
  std::string name;
  int64_t version = 0;
  int64_t base_version = 0;  // version of the put that this version grew from
  KeySetLayout layout;
  std::vector<SegmentInfo> segments;  // from the oldest to the newest

  // Returns the number of keys of each matrix, over all segments.
  int64_t Keys() const;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// Returns the manifest as JSON, with a checksum of its other members.
std::string FormatManifest(const Manifest& manifest);

// Parses a manifest that FormatManifest wrote for the set `name`. DATA_LOSS: the text is not
// exactly such a manifest; the message says why.
absl::StatusOr<Manifest> ParseManifest(absl::string_view name, absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_MANIFEST_H_
