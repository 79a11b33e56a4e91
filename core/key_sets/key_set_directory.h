#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_DIRECTORY_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/byte_budget.h"
#include "core/key_sets/file_system.h"
#include "core/key_sets/key_set.h"

namespace qkserve {

// Key sets in files.
//
//   DIRECTORY/lock                    held by the one writer
//   DIRECTORY/last_version            the greatest version of a set that was deleted
//   DIRECTORY/NAME/manifest.json      the set's version and its segments, replaced atomically
//   DIRECTORY/NAME/*.safetensors      segments, immutable: tensors `keys` and `values`
//   DIRECTORY/NAME.safetensors        left there by another tool; taken in when the writer opens
//
// A change is written aside, synced, renamed, and its directory synced; then the manifest likewise.
// When Put, Append or Delete has returned OK the change survives the end of the process and of the
// machine; when the process ends earlier the directory shows the set's previous version.
//
// Calls for different sets may run at the same time; those for one set must not, but for Load in
// a directory opened to read.
class KeySetDirectory {
 public:
  enum class Mode { kWriter, kReader };

  // kWriter: makes the directory where it is missing, takes the lock, clears what interrupted
  // writes left and takes in lone .safetensors files (what it cannot take in is left, and named in
  // notes()). FAILED_PRECONDITION: another writer has it. NOT_FOUND: kReader, and it is missing.
  static absl::StatusOr<std::unique_ptr<KeySetDirectory>> Open(FileSystem* files,
                                                               const std::string& path, Mode mode);
  ~KeySetDirectory();

  // What an operator should know of what Open found.
  const std::vector<std::string>& notes() const;

  // The greatest version number that is or ever was in use here.
  int64_t last_version() const;

  // The sets that are there, in order.
  absl::StatusOr<std::vector<std::string>> ListNames() const;

  // The version of a set that its manifest names. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<int64_t> StoredVersion(const std::string& name) const;

  // Reads, checks and packs a set. `current` may be a version that was loaded before: where the
  // stored one grew from the same put, only what is new is read. A reader tries again where a
  // writer replaces the set meanwhile. NOT_FOUND. DATA_LOSS: a file is missing, damaged or does not
  // fit; says which. RESOURCE_EXHAUSTED: no memory.
  absl::StatusOr<std::shared_ptr<const KeySet>> Load(const std::string& name, ByteBudget* budget,
                                                     std::shared_ptr<const KeySet> current) const;

  // A segment that is being written; a temporary file until Put or Append. Removed if that does not
  // come. Thread-compatible.
  class Segment {
   public:
    virtual ~Segment() = default;
    // `count` rows of the layout's type, as KeySetBuilder::AddKeys and AddValues take them.
    virtual absl::Status WriteKeys(int64_t matrix, int64_t row, int64_t count,
                                   const std::byte* rows) = 0;
    virtual absl::Status WriteValues(int64_t matrix, int64_t row, int64_t count,
                                     const std::byte* rows) = 0;
  };
  // RESOURCE_EXHAUSTED: the disk is full.
  absl::StatusOr<std::unique_ptr<Segment>> NewSegment(const std::string& name,
                                                      const KeySetLayout& layout, int64_t rows);

  // The set `name` is the segment, at `version`, whatever it was before. `version` is greater than
  // last_version() before the call.
  absl::Status Put(const std::string& name, int64_t version, std::unique_ptr<Segment> segment);

  // The set's segments and this one, at `version`.
  absl::Status Append(const std::string& name, int64_t version, std::unique_ptr<Segment> segment);

  // Its version number is remembered first. NOT_FOUND.
  absl::Status Delete(const std::string& name);

  // Replaces small segments by one, where there are many; the version stays. Returns whether there
  // was something to do. The work is in proportion to the small segments, not to the set, but for a
  // factor that grows with its logarithm.
  absl::StatusOr<bool> MergeSegments(const std::string& name);
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_DIRECTORY_H_
