#include "core/key_sets/storage/loader.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// The number of versions that a reader tries. Then the reader gives up, because the writer is
// faster.
constexpr int kLoadAttemptsMax = 10;

// True if the set in memory is an older version of the stored one. The rows in memory are then the
// first rows of the stored set.
bool HasGrown(const KeySet& current, const Manifest& stored) {
  return current.base_version() == stored.base_version && current.version() < stored.version &&
         current.layout() == stored.layout && current.m() <= stored.Keys();
}

// The place of a segment in its set.
struct SegmentPlace {
  int64_t first;  // row of the set that the segment begins with, in each matrix
  int64_t known;  // rows of the set that are in memory, in each matrix
  int64_t added;  // rows of the set that the builder gets, in each matrix
};

absl::Status LoadSegment(const DirectoryState& state, const Manifest& manifest,
                         const SegmentInfo& info, const SegmentPlace& place,
                         KeySetBuilder& builder) {
  ASSIGN_OR_RETURN(const std::unique_ptr<SegmentReader> reader,
                   state.sets.FolderOf(manifest.name).OpenSegment(manifest, info));
  // A segment with any new row is read completely, because its checksum covers the whole file. The
  // merge policy limits the cost.
  RETURN_IF_ERROR(
      reader->ReadAll([&](const Column& column, int64_t row, int64_t count, const std::byte* rows) {
        for (int64_t done = 0; done < count;) {
          const int64_t matrix = (row + done) / info.keys;
          const int64_t in_matrix = (row + done) % info.keys;
          const int64_t piece = std::min(info.keys - in_matrix, count - done);
          const int64_t to = place.first + in_matrix - place.known;
          const int64_t skipped = std::clamp<int64_t>(-to, 0, piece);
          builder.Add(column.id, matrix * place.added + to + skipped, piece - skipped,
                      rows + (done + skipped) * column.RowBytes());
          done += piece;
        }
        return state.observer.CheckNotStopping();
      }));
  return reader->CheckFileChecksum(info.checksum);
}

// The version in memory (`current`) and the stored manifest decide what is read:
//
//   in memory                        stored                             action
//   -------------------------------  ---------------------------------  --------------------------
//   none                             any                                read all rows
//   version v                        version v                          keep the one in memory
//   base_version b, version < v      base_version b, version v, the     read the rows after those
//                                    same layout, not fewer keys        in memory
//   anything else                    any                                read all rows
//
// A Put writes a new base_version, and so does an Append after a change that failed: see the table
// in committer.cc.
absl::StatusOr<std::shared_ptr<const KeySet>> LoadVersion(const DirectoryState& state,
                                                          const Manifest& manifest,
                                                          ByteBudget* budget,
                                                          std::shared_ptr<const KeySet> current) {
  std::shared_ptr<std::atomic<int64_t>> served;
  if (current != nullptr) {
    if (current->version() == manifest.version) return current;
    served = current->shared_requests_served();
    if (!HasGrown(*current, manifest)) current = nullptr;
  }
  SegmentPlace place = {.first = 0, .known = current != nullptr ? current->m() : 0, .added = 0};
  place.added = manifest.Keys() - place.known;
  ASSIGN_OR_RETURN(const std::unique_ptr<KeySetBuilder> builder,
                   KeySetBuilder::Create(manifest.layout, place.added, current, budget));
  for (const SegmentInfo& info : manifest.segments) {
    RETURN_IF_ERROR(state.observer.CheckNotStopping());
    if (current == nullptr || place.first + info.keys > place.known) {
      RETURN_IF_ERROR(LoadSegment(state, manifest, info, place, *builder));
    }
    place.first += info.keys;
  }
  return builder->Finish(manifest.name, manifest.version, std::move(served), manifest.base_version);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const KeySet>> LoadKeySet(
    const DirectoryState& state, const std::string& name, ByteBudget* budget,
    const std::shared_ptr<const KeySet>& current) {
  for (int attempt = 0; attempt < kLoadAttemptsMax; ++attempt) {
    ASSIGN_OR_RETURN(const Manifest manifest, state.sets.Find(name));
    absl::StatusOr<std::shared_ptr<const KeySet>> set =
        LoadVersion(state, manifest, budget, current);
    if (state.mode == DirectoryMode::kWriter || !absl::IsDataLoss(set.status())) return set;
    // A writer may have removed files that the manifest names. In that case there is a newer
    // manifest.
    ASSIGN_OR_RETURN(const Manifest newer, state.sets.Find(name));
    if (newer == manifest) return set;
  }
  return absl::UnavailableError(
      absl::StrCat("the key set ", name, " is replaced faster than it is read"));
}

}  // namespace qkserve
