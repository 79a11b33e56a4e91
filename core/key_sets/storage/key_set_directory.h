#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/byte_budget.h"
#include "base/log.h"
#include "base/mutex.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/storage/file_system.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/segment_reader.h"
#include "core/key_sets/storage/segment_writer.h"
#include "core/key_sets/storage/synced_sets.h"

namespace qkserve {

// Who waits while many key sets, or large ones, are read from a directory.
struct DirectoryObserver {
  // Asked again and again, from any thread. true: Open or Load ends with CANCELLED.
  std::function<bool()> is_stopping = [] { return false; };
  // Told about once a second how far Open is.
  LogSink log = [](const LogEvent&) {};
};

// Key sets in files.
//
//   DIRECTORY/.lock                   held by the one writer
//   DIRECTORY/.synced                 the sets that need no sync when a writer opens: SyncedSets
//   DIRECTORY/.last_version           as great as any version of a set that was deleted
//   DIRECTORY/.segment-*.tmp          a segment that is being written
//   DIRECTORY/.put-*.tmp/             a set that is being made
//   DIRECTORY/.deleted-VERSION-*.tmp/ one that is being removed; the version is as .last_version's
//   DIRECTORY/NAME/manifest.json      the set's version and its segments, replaced atomically
//   DIRECTORY/NAME/segment-*          segments, immutable .safetensors files: `keys` and `values`
//   DIRECTORY/NAME.safetensors        left there by another tool; taken in when the writer opens
//
// A change is written aside, synced, renamed, and its directory synced; then the manifest likewise.
// When Put, Append or Delete has returned OK the change survives the end of the process and of the
// machine; where it has not, the directory shows, whole, the set's previous version or the new one.
// After a change that failed, this object keeps to the previous version, and the next change goes
// on from there. A change fails as well where the directory's path leads to another one meanwhile.
//
// A set's folder comes and goes whole, by a rename. So one that holds segments but no manifest is
// not ours but half a copy: it answers DATA_LOSS, and nothing of it is removed. Symbolic links are
// not followed. Sets must be copied into and out of a directory that no writer has open.
//
// Calls for different sets may run at the same time; those for one set must not, but for writing
// to its segments, CopyForMerge, ListNames, StoredVersion, FindChanges and Load in a directory
// opened to read.
class KeySetDirectory {
 public:
  enum class Mode { kWriter, kReader };

  // kWriter: makes the directory where it is missing, takes the lock, clears what interrupted
  // writes left and takes in lone .safetensors files (what it cannot take in is left, and named in
  // notes()). FAILED_PRECONDITION: another writer has it. NOT_FOUND: kReader, and it is missing.
  static absl::StatusOr<std::unique_ptr<KeySetDirectory>> Open(
      FileSystem* files, const std::string& path, Mode mode,
      const DirectoryObserver& observer = {});
  ~KeySetDirectory();

  // As it was given, but for slashes at its end.
  const std::string& path() const { return path_; }
  // What an operator should know of what Open found.
  const std::vector<std::string>& notes() const { return notes_; }

  // The greatest version number that is or ever was in use here; of a reader, when it was opened.
  int64_t last_version() const;

  // The sets that are there, in order.
  absl::StatusOr<std::vector<std::string>> ListNames() const;

  // For a reader that serves these sets, each with its version, or 0 where it has none to serve.
  // A set was deleted where nothing has its name any more, in a directory that is evidently still
  // the one it was in: another of the sets is there, or .last_version, or the name of a set that is
  // being removed, tells of a delete since. UNAVAILABLE: that cannot be told; or the error of
  // listing it.
  struct Changes {
    std::vector<std::string> there;    // in order, with those that are served but damaged now
    std::vector<std::string> deleted;  // of those that are served
  };
  absl::StatusOr<Changes> FindChanges(const std::map<std::string, int64_t>& served) const;

  // The version of a set that its manifest names. NOT_FOUND, DATA_LOSS.
  absl::StatusOr<int64_t> StoredVersion(const std::string& name) const;

  // Reads, checks and packs a set. `current` may be its newest version in memory: where the stored
  // one grew from the same put, only segments with something new are read. A reader tries again
  // where a writer replaces the set meanwhile. NOT_FOUND. CANCELLED: is_stopping. DATA_LOSS: a file
  // is missing, damaged or does not fit; says which. RESOURCE_EXHAUSTED: no memory. UNAVAILABLE:
  // the writer is faster.
  absl::StatusOr<std::shared_ptr<const KeySet>> Load(
      const std::string& name, ByteBudget* budget,
      const std::shared_ptr<const KeySet>& current) const;

  // A segment that is being written; a temporary file until Put or Append. Removed if that does not
  // come. RESOURCE_EXHAUSTED: the disk is full. INVALID_ARGUMENT: see KeySetLayout::Validate.
  absl::StatusOr<std::unique_ptr<SegmentWriter>> NewSegment(const std::string& name,
                                                            const KeySetLayout& layout,
                                                            int64_t rows);

  // The set `name` is the segment, at `version`, whatever it was before. `version` must never have
  // been given before, and be greater than last_version() was after Open and than the set's.
  // FAILED_PRECONDITION: something else has that name.
  absl::Status Put(const std::string& name, int64_t version,
                   std::unique_ptr<SegmentWriter> segment);

  // The set's segments and this one, at `version`, as above. NOT_FOUND, DATA_LOSS.
  // INVALID_ARGUMENT: the segment has another layout, or the set would have too many keys.
  absl::Status Append(const std::string& name, int64_t version,
                      std::unique_ptr<SegmentWriter> segment);

  // NOT_FOUND.
  absl::Status Delete(const std::string& name);

  // Replaces the newest segments by one, where SegmentsToMerge says so; the version stays. In two
  // steps. The first copies, and the set may be changed meanwhile; `merged` is null where there is
  // nothing to do. The second puts the copy in place and is a change like others; false: the set no
  // longer has what was copied. There may be more to merge after. NOT_FOUND, DATA_LOSS.
  struct Merge {
    std::vector<SegmentInfo> from;
    SegmentInfo info;
    std::unique_ptr<SegmentWriter> merged;
  };
  absl::StatusOr<Merge> CopyForMerge(const std::string& name);
  absl::StatusOr<bool> FinishMerge(const std::string& name, Merge merge);

 private:
  struct StoredSet {
    absl::StatusOr<Manifest> manifest;
    // A change has failed, but readers may have seen it.
    bool forked = false;
  };

  KeySetDirectory(FileSystem* files, const std::string& path, Mode mode,
                  const DirectoryObserver& observer);

  // CANCELLED: is_stopping.
  absl::Status GoOn() const;

  // Parts of Open, in key_set_directory_open.cc.
  // Says at times that `done` of `count` is done. CANCELLED: is_stopping.
  absl::Status GoOn(const char* work, size_t done, size_t count);
  absl::Status OpenRoot();
  absl::Status ReadLastVersion();
  // The version in .last_version. NOT_FOUND: there is no such file. DATA_LOSS: it holds something
  // else.
  absl::StatusOr<int64_t> StoredLastVersion() const;
  void ReadSynced();
  absl::Status FindSets(const std::vector<FileSystem::Entry>& entries);
  absl::Status ClearAndSync(const std::vector<FileSystem::Entry>& entries);
  void RemoveAside(const FileSystem::Entry& entry);
  void SyncAndClear(const std::string& name);
  absl::Status TakeInFiles(const std::vector<FileSystem::Entry>& entries);
  void TakeIn(const std::string& name);
  absl::Status TryToTakeIn(const std::string& name);

  static std::string SegmentFile(int64_t version, int64_t first_row, int64_t rows);
  // The version in a name that SegmentFile gave; 0 where it did not.
  static int64_t VersionOfSegment(absl::string_view file);
  // Says of a file that it is damaged where `status` says that it is missing or not what it should
  // be; other errors, for example no memory, say nothing of the file.
  static absl::Status ToDataLoss(const absl::Status& status);

  std::string SetPath(absl::string_view name) const;
  // A name that nothing has, for the time being.
  std::string AsidePath(absl::string_view what, const std::string& name);
  // Or may be one, where its folder cannot be read.
  bool IsSet(const std::string& name) const;
  bool HasSegments(const std::string& name) const;
  // INTERNAL: a change would go to another directory than the one that was opened.
  absl::Status CheckRoot() const;
  absl::StatusOr<Manifest> ReadManifest(const std::string& name) const;
  absl::StatusOr<Manifest> CurrentManifest(const std::string& name) const;
  absl::StatusOr<std::shared_ptr<const KeySet>> LoadVersion(
      const Manifest& manifest, ByteBudget* budget, std::shared_ptr<const KeySet> current) const;
  absl::StatusOr<std::unique_ptr<SegmentReader>> OpenSegment(const Manifest& manifest,
                                                             const SegmentInfo& info) const;
  absl::Status CheckSegment(const Manifest& manifest, const SegmentInfo& info,
                            const SegmentReader& reader) const;
  absl::Status LoadSegment(const Manifest& manifest, const SegmentInfo& info, int64_t first,
                           int64_t known, KeySetBuilder& builder) const;

  void WriteSynced();
  void RaiseLastVersion(int64_t version);
  absl::Status WriteLastVersion();
  // Gives a finished segment its name, and a place in the manifest behind what is there.
  absl::Status AddSegment(const std::string& folder, Manifest& manifest, SegmentWriter& segment,
                          SegmentInfo info);
  absl::Status WriteManifest(const std::string& folder, const Manifest& manifest);
  // Of a set that is there.
  absl::Status StoreManifest(const Manifest& manifest);
  // A set that was not there, with the segment where it is not null.
  absl::Status AddSet(Manifest& manifest, SegmentWriter* segment, SegmentInfo info);
  // The folder of a set is gone, durably. Where this fails it may be gone, or, with `keep`, back.
  absl::Status RemoveSet(const std::string& name, bool keep);
  absl::StatusOr<std::unique_ptr<SegmentWriter>> Merged(const Manifest& manifest, size_t count);
  // Of our files, those that the manifest does not name; all where it is null.
  void RemoveUnused(const std::string& folder, const Manifest* manifest);
  void RemoveFolder(const std::string& folder);

  FileSystem* const files_;
  const std::string path_;
  const Mode mode_;
  const DirectoryObserver observer_;
  absl::Time last_said_ = absl::InfinitePast();  // of Open
  std::unique_ptr<FileLock> lock_;
  std::vector<std::string> notes_;  // not changed after Open
  bool lost_versions_ = false;      // .last_version is damaged; likewise
  bool is_open_ = false;            // Open has succeeded
  SyncedSets synced_;               // what .synced holds
  std::atomic<int64_t> names_aside_{0};

  mutable Mutex mutex_;
  int64_t last_version_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of a writer: what was acknowledged. Of a reader it is empty.
  std::map<std::string, StoredSet> sets_ ABSL_GUARDED_BY(mutex_);

  Mutex last_version_file_mutex_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_KEY_SET_DIRECTORY_H_
