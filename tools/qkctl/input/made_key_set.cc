#include "tools/qkctl/input/made_key_set.h"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "tools/load/random_source.h"

namespace qkserve {
namespace {

// The time for making and removing key sets, which is not measured. It is at least 10 s, even if
// requests have a short timeout. So nothing is left behind.
absl::Duration AtLeastTenSeconds(absl::Duration timeout) {
  return std::max(timeout, absl::Seconds(10));
}

constexpr int kRemoveTries = 20;
constexpr absl::Duration kRemovePause = absl::Milliseconds(150);

}  // namespace

bool ParseFlag(absl::string_view text, KeySetSizes* sizes, std::string* error) {
  *error = "expected m,d or m,d,dv, each 0 or more";
  std::vector<int64_t> parts;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    if (!absl::SimpleAtoi(part, &parts.emplace_back()) || parts.back() < 0) return false;
  }
  if (parts.size() != 2 && parts.size() != 3) return false;
  *sizes = {parts[0], parts[1], parts.size() == 3 ? std::optional(parts[2]) : std::nullopt};
  return true;
}

KeySetContents RandomContents(const KeySetSizes& sizes, uint64_t seed,
                              const std::atomic<bool>* stop) {
  KeySetContents contents = {RandomSource({sizes.m, sizes.d}, seed, stop), std::nullopt};
  if (sizes.dv.has_value()) contents.values = RandomSource({sizes.m, *sizes.dv}, seed + 1, stop);
  return contents;
}

std::string UniqueKeySetName() {
  return absl::StrCat("qkctl-load-", getpid(), "-", absl::ToUnixNanos(absl::Now()));
}

absl::StatusOr<std::unique_ptr<MadeKeySet>> MadeKeySet::Create(
    Client* client, std::string name, const KeySetContents& contents,
    std::optional<DataType> storage, const ConnectionOptions& connection) {
  const absl::Duration timeout = AtLeastTenSeconds(connection.timeout);
  const absl::Status exists = client->GetKeySet(name, timeout).status();
  if (exists.ok() || absl::IsDataLoss(exists)) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is a key set '", name,
                     "', and --make_key_set removes what it made: choose another --key_set"));
  }
  if (!absl::IsNotFound(exists)) return exists;

  UploadProgressLine line(Clock::Monotonic());
  auto put = UploadOptions<PutKeySetOptions>(contents, connection, &line);
  put.timeout = AtLeastTenSeconds(put.timeout);
  put.storage = storage;
  // Made before the upload, so that the set is removed even if the upload fails: the answer may
  // have been lost.
  std::unique_ptr<MadeKeySet> made(new MadeKeySet(client, std::move(name), timeout));
  ASSIGN_OR_RETURN(const KeySetInfo info, client->PutKeySet(made->name(), contents.keys, put));
  made->version_ = info.version;
  return made;
}

absl::Status MadeKeySet::Remove() {
  if (std::exchange(removed_, true)) return absl::OkStatus();
  absl::Status status = TryRemove();
  // A server that was away may be back: it is worth a moment to leave nothing behind.
  for (int i = 0; i < kRemoveTries && absl::IsUnavailable(status); ++i) {
    absl::SleepFor(kRemovePause);
    status = TryRemove();
  }
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("could not remove the key set '", name_,
                                                  "': ", status.message()));
}

absl::Status MadeKeySet::TryRemove() {
  const absl::StatusOr<KeySetInfo> info = client_->GetKeySet(name_, timeout_);
  if (absl::IsNotFound(info.status())) {
    if (version_ == 0) return absl::OkStatus();
    return absl::NotFoundError(
        "it is not there: somebody removed it, or --server stands for "
        "several servers, and it is on another one");
  }
  if (info.ok() && version_ != 0 && info->version != version_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "version ", version_, " was made here, and somebody else made ", info->version));
  }
  const absl::Status status = client_->DeleteKeySet(name_, timeout_);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace qkserve
