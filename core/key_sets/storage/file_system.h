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
  // Writes at any place. Bytes that are never written are zero.
  virtual absl::Status WriteAt(int64_t offset, const std::byte* data, int64_t size) = 0;
  // Makes the contents survive the end of the machine. The file's name needs SyncDirectory. After
  // an error the file must be given up, because any part of it may be written.
  virtual absl::Status Sync() = 0;
  virtual absl::Status Close() = 0;
};

// An open file. It stays readable when its name is removed. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual int64_t size() const = 0;  // the size when the file was opened
  // Reads all `size` bytes. DATA_LOSS: the file has become shorter, or its medium cannot be read.
  virtual absl::Status ReadAt(int64_t offset, int64_t size, std::byte* to) const = 0;
};

// A lock, held until this object is destroyed. Thread-safe.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // UNKNOWN: the lock's path now leads to another file or to none. Another process may then lock
  // that.
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

  // The file system of the machine. Never destroyed.
  static FileSystem* Posix();

  // Makes an empty file. An existing file is replaced.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // Opens a regular file. FAILED_PRECONDITION: the path is a link, or something else.
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> Open(const std::string& path) = 0;
  // True if the path exists, also as a link that leads nowhere.
  virtual bool Exists(const std::string& path) = 0;

  // Makes a file's contents survive the end of the machine, also contents that others wrote.
  virtual absl::Status SyncFile(const std::string& path) = 0;

  // Renames atomically. A file may replace a file, and a directory an empty directory. The rename
  // survives when either directory was synced.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;

  virtual absl::Status MakeDirectory(const std::string& path) = 0;
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;  // the directory must be empty
  // Makes creations, renames and removals in the directory survive the end of the machine.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;

  struct Entry {
    std::string name;
    bool is_directory = false;
    bool is_link = false;  // a symbolic link, which is neither a directory nor a file
  };
  // The entries of a directory, in order of their names.
  virtual absl::StatusOr<std::vector<Entry>> List(const std::string& path) = 0;

  // Locks a directory, or a file, which is made if it is missing. FAILED_PRECONDITION: another
  // process holds the lock.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// Replaces the file DIRECTORY/NAME, durably. Readers see the old or the new contents, whole. If
// there is a directory at NAME or NAME.tmp, it is renamed to NAME.directory-0.
absl::Status ReplaceFile(FileSystem* files, const std::string& directory, absl::string_view name,
                         absl::string_view contents);

// The contents of a file. OUT_OF_RANGE: there are more than `bytes_max` bytes.
absl::StatusOr<std::string> ReadFile(FileSystem* files, const std::string& path, int64_t bytes_max);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_FILE_SYSTEM_H_
