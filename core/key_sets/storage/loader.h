#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_LOADER_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_LOADER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_budget.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/storage/directory_observer.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/segment_reader.h"
#include "core/key_sets/storage/stored_sets.h"

namespace qkserve {

// Reads sets and their segments. Thread-safe.
class Loader {
 public:
  // All must outlive the loader. `files` are those of `sets`.
  Loader(FileSystem* files, const StoredSets* sets, const DirectoryObserver* observer)
      : files_(files), sets_(*sets), observer_(*observer) {}

  // Does what KeySetDirectory::Load says.
  absl::StatusOr<std::shared_ptr<const KeySet>> Load(
      const std::string& name, ByteBudget* budget,
      const std::shared_ptr<const KeySet>& current) const;

  // DATA_LOSS: the file is missing, damaged, or does not fit its manifest.
  absl::StatusOr<std::unique_ptr<SegmentReader>> OpenSegment(const Manifest& manifest,
                                                             const SegmentInfo& info) const;
  // DATA_LOSS: a segment that was read to its end is not what was written.
  absl::Status CheckSegment(const Manifest& manifest, const SegmentInfo& info,
                            const SegmentReader& reader) const;

 private:
  absl::StatusOr<std::shared_ptr<const KeySet>> LoadVersion(
      const Manifest& manifest, ByteBudget* budget, std::shared_ptr<const KeySet> current) const;
  // Adds the rows of a segment, which begin at row `first` of the set, behind the first `known`
  // rows of the set.
  absl::Status LoadSegment(const Manifest& manifest, const SegmentInfo& info, int64_t first,
                           int64_t known, KeySetBuilder& builder) const;

  FileSystem* const files_;
  const StoredSets& sets_;
  const DirectoryObserver& observer_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_LOADER_H_
