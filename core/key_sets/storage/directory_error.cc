#include "core/key_sets/storage/directory_error.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qkserve {
namespace {

// Makes the paths in a message relative to `root`. The path of `root` itself becomes ".".
std::string WithoutRoot(absl::string_view message, const std::string& root) {
  std::string text = absl::StrCat(" ", message, " ");
  const std::string word = absl::StrCat(" ", root);
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    // The match may be the beginning of a longer name. Such a name stays.
    const char next = text[at + word.size()];
    if (next == '/') text.erase(at + 1, root.size() + 1);
    if (next == ':' || next == ' ') text.replace(at + 1, root.size(), 1, '.');
  }
  return text.substr(1, text.size() - 2);
}

}  // namespace

absl::Status DirectoryErrorForCaller(const absl::Status& status, const std::string& root) {
  const std::string message = WithoutRoot(status.message(), root);
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return absl::Status(status.code(), message);
    default:
      return absl::InternalError(absl::StrCat("key_set_dir: ", message));
  }
}

}  // namespace qkserve
