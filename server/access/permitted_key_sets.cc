#include "server/access/permitted_key_sets.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace qkserve {
namespace {

constexpr char kHiddenPayload[] = "qkserve.hidden";

absl::Status Denied(Permission permission, absl::string_view name) {
  return absl::PermissionDeniedError(absl::StrCat(
      "the caller lacks the permission '", kPermissionNames[static_cast<size_t>(permission)],
      "' for the key set '", Utf8Prefix(name, 128), "'"));
}

}  // namespace

absl::Status PermittedKeySets::Check(Permission permission, absl::string_view name) const {
  if (May(permission, name)) return absl::OkStatus();
  if (May(Permission::kRead, name)) return Denied(permission, name);
  absl::Status hidden = NoSuchKeySet(name);
  hidden.SetPayload(kHiddenPayload, absl::Cord());
  return hidden;
}

absl::StatusOr<std::shared_ptr<const KeySet>> PermittedKeySets::FindToScore(
    absl::string_view name) const {
  absl::StatusOr<std::shared_ptr<const KeySet>> found = key_sets_.Find(name);
  RETURN_IF_ERROR(Check(Permission::kScore, name));
  return found;
}

absl::StatusOr<std::shared_ptr<const KeySet>> PermittedKeySets::FindForAppend(
    absl::string_view name, int64_t expected_version) const {
  absl::StatusOr<std::shared_ptr<const KeySet>> found =
      key_sets_.FindForAppend(name, expected_version);
  RETURN_IF_ERROR(Check(Permission::kWrite, name));
  return found;
}

absl::StatusOr<KeySetStore::Listed> PermittedKeySets::Get(absl::string_view name) const {
  absl::StatusOr<KeySetStore::Listed> found = key_sets_.Get(name);
  RETURN_IF_ERROR(Check(Permission::kRead, name));
  return found;
}

std::vector<KeySetStore::Listed> PermittedKeySets::List(absl::string_view after,
                                                        int64_t count) const {
  if (permissions_ == nullptr) return key_sets_.List(after, count);
  std::vector<KeySetStore::Listed> listed;
  const KeySetPatterns readable = permissions_->Readable();
  for (const KeySetPattern& pattern : readable.patterns()) {
    const int64_t missing = count - static_cast<int64_t>(listed.size());
    if (missing <= 0) break;
    if (pattern.is_prefix) {
      std::vector<KeySetStore::Listed> some = key_sets_.List(after, missing, pattern.text);
      std::move(some.begin(), some.end(), std::back_inserter(listed));
    } else if (pattern.text > after) {
      absl::StatusOr<KeySetStore::Listed> one = key_sets_.Get(pattern.text);
      if (one.ok()) listed.push_back(*std::move(one));
    }
  }
  return listed;
}

absl::Status PermittedKeySets::CheckPut(absl::string_view name) const {
  return May(Permission::kWrite, name) ? absl::OkStatus() : Denied(Permission::kWrite, name);
}

absl::Status PermittedKeySets::CheckChange(absl::string_view name) const {
  const absl::StatusOr<std::shared_ptr<const KeySet>> found = key_sets_.Find(name);
  RETURN_IF_ERROR(Check(Permission::kWrite, name));
  return absl::IsNotFound(found.status()) ? found.status() : absl::OkStatus();
}

absl::Status CheckScoreInline(const Permissions* permissions) {
  if (permissions == nullptr || permissions->MayScoreInline()) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("the caller lacks the permission '", kScoreInline,
                                                  "', which keys inside a request need"));
}

bool IsHidden(const absl::Status& status) { return status.GetPayload(kHiddenPayload).has_value(); }

}  // namespace qkserve
