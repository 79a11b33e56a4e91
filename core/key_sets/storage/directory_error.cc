#include "core/key_sets/storage/directory_error.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace qkserve {
namespace {

// Makes the paths in a message relative to `root`, which itself becomes ".".
std::string WithoutRoot(absl::string_view message, const std::string& root) {
  std::string result;
  while (!message.empty()) {
    const bool is_word = result.empty() || result.back() == ' ';
    absl::string_view after_root = message;
    if (!is_word || !absl::ConsumePrefix(&after_root, root)) {
      result.push_back(message.front());
      message.remove_prefix(1);
      continue;
    }
    if (!absl::ConsumePrefix(&after_root, "/")) {
      // A longer name may begin with the root's.
      const bool is_root =
          after_root.empty() || after_root.front() == ':' || after_root.front() == ' ';
      absl::StrAppend(&result, is_root ? "." : root);
    }
    message = after_root;
  }
  return result;
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
