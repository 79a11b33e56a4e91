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

// A new file. The destructor closes it. Thread-compatible.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  // Writes at any offset. Bytes that are never written are zero.
  virtual absl::Status WriteAt(int64_t offset, const std::byte* data, int64_t size) = 0;
  // Makes the contents durable. For the file's name, use SyncDirectory. After an error, discard the
  // file, because any part of it may have been written.
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

// A lock that is held until this object is destroyed. Thread-safe.
class FileLock {
 public:
  virtual ~FileLock() = default;
  // Returns UNKNOWN if the lock's path now leads to another file or to none. Another process can
  // then lock a file at this path.
  virtual absl::Status Check() const = 0;
};

// The operations that key sets need from a file system. Tests use a file system that forgets what
// was not synced.
//
// Errors name the path and the cause. The codes are NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
// FAILED_PRECONDITION (not a regular file), RESOURCE_EXHAUSTED (no space, no descriptors, no
// memory), and UNKNOWN for all others.
//
// Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // Returns the file system of the machine. It is never destroyed.
  static FileSystem* Posix();

  // Makes an empty file. An existing file is replaced.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;
  // Opens a regular file. FAILED_PRECONDITION: the path is a link or not a regular file.
  virtual absl::StatusOr<std::unique_ptr<ReadableFile>> Open(const std::string& path) = 0;
  // True if the path exists, even if it is a link that leads nowhere.
  virtual bool Exists(const std::string& path) = 0;

  // Makes a file's contents durable, even if other processes wrote them.
  virtual absl::Status SyncFile(const std::string& path) = 0;

  // Renames atomically. A file may replace a file, and a directory may replace an empty directory.
  // The rename is durable when either parent directory was synced.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;

  virtual absl::Status MakeDirectory(const std::string& path) = 0;
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;  // the directory must be empty
  // Makes creations, renames and removals in the directory durable.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;

  struct Entry {
    std::string name;
    bool is_directory = false;
    bool is_link = false;  // a symbolic link; is_directory is then false
  };
  // Returns the entries of a directory in the order of their names.
  virtual absl::StatusOr<std::vector<Entry>> List(const std::string& path) = 0;

  // Locks a directory or a file. Makes a file if nothing has the path. FAILED_PRECONDITION: another
  // process holds the lock. PERMISSION_DENIED: the process may not write to the folder.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// Replaces the file DIRECTORY/NAME durably. Readers see all of the old contents or all of the new
// ones. A directory that has the name NAME or NAME.tmp is renamed. Its new name ends in
// ".directory-0", or in the next free number.
absl::Status ReplaceFile(FileSystem* files, const std::string& directory, absl::string_view name,
                         absl::string_view contents);

// Returns the contents of a file. OUT_OF_RANGE: the file has more than `bytes_max` bytes.
absl::StatusOr<std::string> ReadFile(FileSystem* files, const std::string& path, int64_t bytes_max);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_FILE_SYSTEM_H_
