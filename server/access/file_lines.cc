#include "server/access/file_lines.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/access/identity.h"

namespace qkserve {

bool FileLines::Next() {
  while (!rest_.empty()) {
    const absl::string_view line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(line.size() == rest_.size() ? line.size() : line.size() + 1);
    ++line_;
    words_.clear();
    for (const absl::string_view word :
         absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty())) {
      if (word[0] == '#') break;
      words_.push_back(word);
    }
    if (!words_.empty()) return true;
  }
  return false;
}

absl::Status FileLines::Error(absl::string_view message) const {
  return absl::InvalidArgumentError(absl::StrCat("line ", line_, ": ", message));
}

absl::Status FileLines::CheckIdentity(absl::string_view name) const {
  if (IsIdentity(name)) return absl::OkStatus();
  return Error(absl::StrCat("identity: got '", ShownWord(name), "', expected ", IdentityRule()));
}

std::string ShownWord(absl::string_view word) {
  constexpr size_t kShownMax = 64;
  return absl::StrCat(absl::CHexEscape(word.substr(0, kShownMax)),
                      word.size() > kShownMax ? "..." : "");
}

}  // namespace qkserve
