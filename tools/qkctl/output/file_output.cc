#include "tools/qkctl/output/file_output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <map>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// Returns the identity of a file. All paths to one file have the same identity, even through links
// or with other spellings.
std::string IdentityOf(const std::string& path) {
  if (path == "-") return path;
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return absl::StrCat(info.st_dev, ":", info.st_ino);
  std::error_code error;
  return std::filesystem::weakly_canonical(path, error).string();
}

bool IsSpecialFile(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

}  // namespace

absl::Status WriteOutput(const std::string& path, FileParts parts) {
  if (path == "-") {
    // Earlier output is flushed first, because the parts are written directly to the descriptor.
    std::fflush(stdout);
    return WriteTo(STDOUT_FILENO, "standard output", parts);
  }
  return IsSpecialFile(path) ? WriteInPlace(path, parts)
                             : WriteFileWhole(path, parts, IfIrreplaceable::kWriteInPlace);
}

absl::Status CheckFileOutput(const std::string& path) {
  if (path == "-") return absl::OkStatus();
  struct stat info;
  const bool exists = stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return FormatError(path, "is a folder");
  if (exists && access(path.c_str(), W_OK) == 0) return absl::OkStatus();
  const std::string target = ResolvedPath(path);
  const size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  if (access(folder.c_str(), W_OK) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot create"));
}

absl::Status CheckDistinct(absl::Span<const FlagFile> outputs, absl::Span<const FlagFile> inputs) {
  std::map<std::string, absl::string_view> read, written;  // flags by the identity of their file
  for (const FlagFile& input : inputs) {
    if (!input.path.empty()) read.emplace(IdentityOf(input.path), input.flag);
  }
  for (const FlagFile& output : outputs) {
    if (output.path.empty() || IsSpecialFile(output.path)) continue;
    const std::string identity = IdentityOf(output.path);
    if (const auto found = read.find(identity); found != read.end()) {
      return InvalidArgument("--", output.flag, " would overwrite the file of --", found->second,
                             ": ", output.path);
    }
    const auto [other, is_new] = written.emplace(identity, output.flag);
    if (!is_new) {
      return InvalidArgument("--", other->second, " and --", output.flag,
                             " are written to one place: ", output.path);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOutputs(absl::Span<const FlagFile> outputs) {
  for (const FlagFile& output : outputs) {
    if (output.path.empty() || IsSpecialFile(output.path)) continue;
    RETURN_IF_ERROR(CheckFileOutput(output.path));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
