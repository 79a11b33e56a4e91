#include "core/key_sets/storage/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_descriptor.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

absl::Status ErrnoStatus(const std::string& path, absl::string_view what, int error = errno) {
  const std::string message = absl::StrCat(path, ": cannot ", what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EEXIST:
    case ENOTEMPTY:
      return absl::AlreadyExistsError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnknownError(message);
  }
}

// Returns the status of a system call. `result` is 0 if the call succeeded.
absl::Status StatusOf(int result, const std::string& path, absl::string_view what) {
  return result == 0 ? absl::OkStatus() : ErrnoStatus(path, what);
}

// The most bytes for one call. pwrite and pread take at most about 2 GiB.
constexpr int64_t kCallBytesMax = int64_t{1} << 30;

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, FileDescriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status WriteAt(int64_t offset, const std::byte* data, int64_t size) override {
    while (size > 0) {
      const auto call_bytes = static_cast<size_t>(std::min(size, kCallBytesMax));
      const ssize_t count = pwrite(fd_.get(), data, call_bytes, offset);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(path_, "write");
      offset += count;
      data += count;
      size -= count;
    }
    return absl::OkStatus();
  }
  absl::Status Sync() override { return StatusOf(fsync(fd_.get()), path_, "sync"); }
  absl::Status Close() override { return StatusOf(fd_.Close(), path_, "close"); }

 private:
  const std::string path_;
  FileDescriptor fd_;
};

class PosixReadableFile : public ReadableFile {
 public:
  PosixReadableFile(std::string path, FileDescriptor fd, int64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  int64_t size() const override { return size_; }
  absl::Status ReadAt(int64_t offset, int64_t size, std::byte* to) const override {
    while (size > 0) {
      const auto call_bytes = static_cast<size_t>(std::min(size, kCallBytesMax));
      const ssize_t count = pread(fd_.get(), to, call_bytes, offset);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EIO) return absl::DataLossError(path_ + ": cannot read");
      if (count < 0) return ErrnoStatus(path_, "read");
      if (count == 0) return absl::DataLossError(absl::StrCat(path_, ": ends at byte ", offset));
      offset += count;
      to += count;
      size -= count;
    }
    return absl::OkStatus();
  }

 private:
  const std::string path_;
  const FileDescriptor fd_;
  const int64_t size_;
};

class PosixFileLock : public FileLock {
 public:
  PosixFileLock(std::string path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::Status Check() const override {
    struct stat held;
    struct stat there;
    if (fstat(fd_.get(), &held) != 0) return ErrnoStatus(path_, "look at");
    if (stat(path_.c_str(), &there) != 0) {
      return absl::UnknownError(absl::StrCat(ErrnoStatus(path_, "look at").message(),
                                             ": the directory is not the one that was opened"));
    }
    if (held.st_dev == there.st_dev && held.st_ino == there.st_ino) return absl::OkStatus();
    return absl::UnknownError(path_ +
                              ": is another file: the directory is not the one that was opened");
  }

 private:
  const std::string path_;
  const FileDescriptor fd_;  // closing it, or the end of the process, releases the lock
};

class PosixFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    FileDescriptor fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) return ErrnoStatus(path, "create");
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  absl::StatusOr<std::unique_ptr<ReadableFile>> Open(const std::string& path) override {
    // O_NONBLOCK is set, because opening a pipe must not wait for its writer.
    FileDescriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    if (fd.get() < 0 && errno == ELOOP) return absl::FailedPreconditionError(path + ": is a link");
    if (fd.get() < 0) return ErrnoStatus(path, "open");
    struct stat info;
    if (fstat(fd.get(), &info) != 0) return ErrnoStatus(path, "look at");
    if (!S_ISREG(info.st_mode)) return absl::FailedPreconditionError(path + ": is not a file");
    return std::make_unique<PosixReadableFile>(path, std::move(fd), info.st_size);
  }

  bool Exists(const std::string& path) override {
    struct stat info;
    return lstat(path.c_str(), &info) == 0;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    return StatusOf(rename(from.c_str(), to.c_str()), from, "rename to " + to);
  }
  absl::Status Remove(const std::string& path) override {
    return StatusOf(unlink(path.c_str()), path, "remove");
  }
  absl::Status MakeDirectory(const std::string& path) override {
    return StatusOf(mkdir(path.c_str(), 0777), path, "make directory");
  }
  absl::Status RemoveDirectory(const std::string& path) override {
    return StatusOf(rmdir(path.c_str()), path, "remove directory");
  }

  absl::Status SyncFile(const std::string& path) override { return SyncOpened(path, 0); }
  absl::Status SyncDirectory(const std::string& path) override {
    return SyncOpened(path, O_DIRECTORY);
  }

  absl::StatusOr<std::vector<Entry>> List(const std::string& path) override {
    namespace fs = std::filesystem;
    std::vector<Entry> entries;
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end;
         entry.increment(error)) {
      const fs::file_type type = entry->symlink_status(error).type();
      if (type == fs::file_type::none) return ErrnoStatus(entry->path(), "look at", error.value());
      if (type == fs::file_type::not_found) continue;  // the entry vanished meanwhile
      entries.push_back({entry->path().filename(), type == fs::file_type::directory,
                         type == fs::file_type::symlink});
    }
    if (error) return ErrnoStatus(path, "list", error.value());
    std::ranges::sort(entries, {}, &Entry::name);
    return entries;
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (fd.get() < 0 && errno == EISDIR) {
      fd = FileDescriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    if (fd.get() < 0) return ErrnoStatus(path, "open");
    // The file of the lock may be writable in a folder that is not. Then every later change would
    // fail.
    std::string folder = std::filesystem::path(path).parent_path();
    if (folder.empty()) folder = ".";
    if (access(folder.c_str(), W_OK) != 0) return ErrnoStatus(folder, "write to");
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return ErrnoStatus(path, "lock");
      return absl::FailedPreconditionError(path + ": another process holds the lock");
    }
    return std::make_unique<PosixFileLock>(path, std::move(fd));
  }

 private:
  static absl::Status SyncOpened(const std::string& path, int flags) {
    const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags));
    if (fd.get() < 0) return ErrnoStatus(path, "open");
    return StatusOf(fsync(fd.get()), path, "sync");
  }
};

absl::Status WriteWholeFile(FileSystem* files, const std::string& path,
                            absl::string_view contents) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, files->Create(path));
  RETURN_IF_ERROR(file->WriteAt(0, reinterpret_cast<const std::byte*>(contents.data()),
                                static_cast<int64_t>(contents.size())));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

// Writes NAME.tmp, syncs it, renames it, and syncs the directory.
absl::Status ReplaceFileOnce(FileSystem* files, const std::string& directory,
                             absl::string_view name, absl::string_view contents) {
  const std::string path = absl::StrCat(directory, "/", name);
  const std::string temporary = path + ".tmp";
  absl::Status status = WriteWholeFile(files, temporary, contents);
  if (status.ok()) status = files->Rename(temporary, path);
  if (!status.ok()) {
    files->Remove(temporary).IgnoreError();
    return status;
  }
  return files->SyncDirectory(directory);
}

// If a directory has this name, renames it and returns true.
bool MoveDirectoryAway(FileSystem* files, const std::string& directory, absl::string_view name) {
  const absl::StatusOr<std::vector<FileSystem::Entry>> entries = files->List(directory);
  if (!entries.ok()) return false;
  const auto found = std::find_if(entries->begin(), entries->end(),
                                  [&](const auto& entry) { return entry.name == name; });
  if (found == entries->end() || !found->is_directory) return false;
  const std::string path = absl::StrCat(directory, "/", name);
  int number = 0;
  while (files->Exists(absl::StrCat(path, ".directory-", number))) ++number;
  return files->Rename(path, absl::StrCat(path, ".directory-", number)).ok();
}

}  // namespace

FileSystem* FileSystem::Posix() {
  static FileSystem* const files = new PosixFileSystem;
  return files;
}

absl::Status ReplaceFile(FileSystem* files, const std::string& directory, absl::string_view name,
                         absl::string_view contents) {
  absl::Status status = ReplaceFileOnce(files, directory, name, contents);
  if (status.ok()) return status;
  const bool moved_file = MoveDirectoryAway(files, directory, name);
  const bool moved_temporary = MoveDirectoryAway(files, directory, absl::StrCat(name, ".tmp"));
  if (!moved_file && !moved_temporary) return status;
  return ReplaceFileOnce(files, directory, name, contents);
}

absl::StatusOr<std::string> ReadFile(FileSystem* files, const std::string& path,
                                     int64_t bytes_max) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files->Open(path));
  const int64_t size = file->size();
  if (size > bytes_max) {
    return absl::OutOfRangeError(
        absl::StrCat(path, ": has ", size, " bytes, at most ", bytes_max, " are read"));
  }
  std::string contents(static_cast<size_t>(size), '\0');
  RETURN_IF_ERROR(file->ReadAt(0, size, reinterpret_cast<std::byte*>(contents.data())));
  return contents;
}

}  // namespace qkserve
