#include "server/lifecycle/file_reloader.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/whole_file.h"

namespace qkserve {
namespace {

// The properties of a file that show a change. `changed` is the time of the inode's last change. It
// shows a new owner or mode, and a new file that has the old size and the old time of modification.
struct FileState {
  int error = 0;  // errno, if there is no such file
  mode_t mode = 0;
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  absl::Time modified = absl::InfinitePast();
  absl::Time changed = absl::InfinitePast();

  bool operator==(const FileState&) const = default;
};

FileState StateOf(const std::string& path) {
  struct stat file = {};
  if (stat(path.c_str(), &file) != 0) return {.error = errno};
  return {.mode = file.st_mode,
          .device = file.st_dev,
          .inode = file.st_ino,
          .size = file.st_size,
          .modified = absl::TimeFromTimespec(file.st_mtim),
          .changed = absl::TimeFromTimespec(file.st_ctim)};
}

std::vector<FileState> StatesOf(const std::vector<std::string>& paths) {
  std::vector<FileState> states;
  states.reserve(paths.size());
  for (const std::string& path : paths) states.push_back(StateOf(path));
  return states;
}

// Reads only regular files, because a pipe without a writer would stop the thread for good.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path) {
  struct stat file = {};
  if (stat(path.c_str(), &file) == 0 && !S_ISREG(file.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is no regular file"));
  }
  return ReadFileWhole(path, FileReloader::kFileBytesMax);
}

}  // namespace

struct FileReloader::Watched {
  WatchedFiles files;
  std::vector<FileState> tried;  // at the last attempt; `status` is its outcome
  absl::Status status;
  std::vector<FileState> seen;  // at the last look
};

FileReloader::FileReloader(LogSink log, absl::Duration interval, std::function<absl::Time()> now)
    : log_(std::move(log)), interval_(interval), now_(std::move(now)) {}

FileReloader::~FileReloader() = default;

// The message of an error begins with a flag. UNAVAILABLE: a file cannot be read, or the contents
// may be taken later. FAILED_PRECONDITION: the contents were refused.
absl::Status FileReloader::ReadAndApply(const WatchedFiles& files) {
  std::vector<std::string> contents;
  for (size_t i = 0; i < files.paths.size(); ++i) {
    absl::StatusOr<std::string> read = ReadRegularFile(files.paths[i]);
    if (!read.ok()) {
      const std::string& flag = files.path_flags.empty() ? files.flag : files.path_flags[i];
      return absl::UnavailableError(absl::StrCat(flag, ": ", read.status().message()));
    }
    contents.push_back(*std::move(read));
  }
  const absl::Status applied = files.apply(contents);
  if (applied.ok()) return absl::OkStatus();
  return absl::Status(absl::IsUnavailable(applied) ? absl::StatusCode::kUnavailable
                                                   : absl::StatusCode::kFailedPrecondition,
                      absl::StrCat(files.flag, ": ", applied.message()));
}

absl::Status FileReloader::Add(WatchedFiles files) {
  MutexLock lock(&looking_);
  const std::vector<FileState> states = StatesOf(files.paths);
  const absl::Status status = ReadAndApply(files);
  if (!status.ok()) return absl::FailedPreconditionError(status.message());
  {
    MutexLock outcomes_lock(&outcomes_mutex_);
    outcomes_.push_back({.flag = files.flag, .applied = 1, .last_applied = now_()});
  }
  watched_.push_back(std::make_unique<Watched>(
      Watched{.files = std::move(files), .tried = states, .status = {}, .seen = states}));
  if (!thread_.has_value() && interval_ < absl::InfiniteDuration()) {
    thread_.emplace([this] { return Look() ? std::min(interval_, kSettleTime) : interval_; });
  }
  return absl::OkStatus();
}

bool FileReloader::Look() {
  MutexLock lock(&looking_);
  bool is_changing = false;
  for (size_t i = 0; i < watched_.size(); ++i) is_changing |= LookAt(*watched_[i], i);
  return is_changing;
}

bool FileReloader::LookAt(Watched& watched, size_t index) {
  const std::vector<FileState> states = StatesOf(watched.files.paths);
  const bool is_still = states == std::exchange(watched.seen, states);
  if (states == watched.tried && !absl::IsUnavailable(watched.status)) return false;
  if (!is_still) return true;
  const absl::Status status = ReadAndApply(watched.files);
  // Files that changed while they were read may not fit each other. Their error does not count yet.
  if (!status.ok() && states != StatesOf(watched.files.paths)) return true;
  const bool is_known = states == std::exchange(watched.tried, states) && status == watched.status;
  watched.status = status;
  if (!is_known) Tell(watched, index);
  return false;
}

void FileReloader::Tell(const Watched& watched, size_t index) {
  {
    MutexLock lock(&outcomes_mutex_);
    Outcome& outcome = outcomes_[index];
    if (watched.status.ok()) {
      ++outcome.applied;
      outcome.last_applied = now_();
    } else {
      ++outcome.refused;
    }
  }
  if (watched.status.ok()) {
    log_({LogLevel::kInfo,
          absl::StrCat(watched.files.flag, ": changed files are in use"),
          {{"file", watched.files.flag}}});
  } else {
    log_({LogLevel::kError,
          absl::StrCat(watched.status.message(), "; what was read before stays in use"),
          {{"file", watched.files.flag}}});
  }
}

std::vector<FileReloader::Outcome> FileReloader::outcomes() const {
  MutexLock lock(&outcomes_mutex_);
  return outcomes_;
}

}  // namespace qkserve
