#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_FILE_SYSTEM_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_FILE_SYSTEM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// A new file. Destroying it closes it. Thread-compatible.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Writes at any place; bytes that are skipped are zero.
  virtual absl::Status WriteAt(int64_t offset, const std::byte* data, int64_t size) = 0;
  // Makes the contents survive the end of the machine; the file's name needs SyncDirectory. After
  // an error the file must be given up, because any part of it may be written.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Close() = 0;
};

// An open file; stays readable when its name is removed. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual int64_t size() const = 0;  // when it was opened
  // Reads all `size` bytes. DATA_LOSS: the file has become shorter, or its medium cannot be read.
  virtual absl::Status ReadAt(int64_t offset, int64_t size, std::byte* to) const = 0;
};

// Held until it is destroyed. Thread-safe.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // UNKNOWN: its path now leads to another file, or to none, which another process may lock.
  virtual absl::Status Check() const = 0;
};

// The operations of a file system that key sets need. Tests replace it by one that forgets what was
// not synced.
//
// Errors name the path and the cause: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
// FAILED_PRECONDITION (not a regular file), RESOURCE_EXHAUSTED (no space, no descriptors, no
// memory), and UNKNOWN for all others.
//
// Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // The machine's. Never destroyed.
  static FileSystem* Posix();

  // Makes an empty file, in place of one that is there.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // Opens a regular file. FAILED_PRECONDITION: a link, or something else.
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> Open(const std::string& path) = 0;
  // True also for a link that leads nowhere.
  virtual bool Exists(const std::string& path) = 0;

  // Makes a file's contents survive the end of the machine, also those that others wrote.
  virtual absl::Status SyncFile(const std::string& path) = 0;

  // Atomic. A file in place of a file that is there, a directory in place of an empty one. Survives
  // when either directory was synced.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;

  virtual absl::Status MakeDirectory(const std::string& path) = 0;
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;  // an empty one
  // Makes creations, renames and removals in it survive the end of the machine.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;

  struct Entry {
    std::string name;
    bool is_directory = false;
    bool is_link = false;  // symbolic: neither a directory nor a file, whatever it leads to
  };
  // In order of names.
  virtual absl::StatusOr<std::vector<Entry>> List(const std::string& path) = 0;

  // Locks a file, which is made if it is missing, or a directory. FAILED_PRECONDITION: another
  // process holds the lock.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// Replaces the file DIRECTORY/NAME, durably; readers see the old or the new contents, whole.
// A directory that lies in its place, or in that of NAME.tmp, is renamed to NAME.directory-0.
absl::Status ReplaceFile(FileSystem* files, const std::string& directory, absl::string_view name,
                         absl::string_view contents);

// The contents of a file. OUT_OF_RANGE: it has more than `bytes_max` bytes.
absl::StatusOr<std::string> ReadFile(FileSystem* files, const std::string& path, int64_t bytes_max);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_FILE_SYSTEM_H_
