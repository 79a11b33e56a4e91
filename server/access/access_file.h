#ifndef QKSERVE_SERVER_ACCESS_ACCESS_FILE_H_
#define QKSERVE_SERVER_ACCESS_ACCESS_FILE_H_

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/access/permissions.h"

namespace qkserve {

// The rules of an access file (--access_file):
//
//   # who        may            which key sets
//   ranking      score          items-* users-* popular
//   ranking      score_inline
//   uploader     write          items-*
//   anyone       read           public-*
//
// A line gives permissions and takes none away. "items-*" is every key set whose name begins with
// "items-", "popular" is that key set alone, and "*" is every key set. The lines of `anyone` hold
// for every caller. If there are such lines, callers without an identity are let in, too.
// docs/access.md explains the rest.
class AccessRules {
 public:
  // Returns the permissions of a caller. `identity` is empty if the caller has none. An identity
  // that has no lines has the permissions of the `anyone` lines. The reference lives as long as
  // this object.
  const Permissions& For(const std::string& identity) const;

  // True if callers without identity are let in.
  bool AdmitsAnyone() const { return admits_anyone_; }

 private:
  friend absl::StatusOr<std::shared_ptr<const AccessRules>> ParseAccessFile(absl::string_view);

  AccessRules() = default;

  bool admits_anyone_ = false;
  AccessLines anyone_;
  const Permissions others_{{}, &anyone_};  // for callers without lines
  std::unordered_map<std::string, Permissions> identities_;
};

// Reads the text of an access file. The result is never null. INVALID_ARGUMENT names the line, what
// was found and what was expected.
absl::StatusOr<std::shared_ptr<const AccessRules>> ParseAccessFile(absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_ACCESS_FILE_H_
