#include "tools/qkctl/input/made_key_set.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tools/load/random_source.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

// Making a key set takes longer than a request. So its time limit is at least 10 s, even if
// requests have a short timeout.
absl::Duration AtLeastTenSeconds(absl::Duration timeout) {
  return std::max(timeout, absl::Seconds(10));
}

constexpr absl::Duration kRemovePause = absl::Milliseconds(100);

// Each set gets one try, even if other sets used up the time. A call to a server that answers takes
// a few milliseconds.
constexpr absl::Duration kShortestTry = absl::Milliseconds(20);

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

absl::StatusOr<std::unique_ptr<MadeKeySet>> MadeKeySet::Create(Client* client, std::string name,
                                                               const KeySetContents& contents,
                                                               std::optional<DataType> storage,
                                                               const ConnectionOptions& connection,
                                                               const std::atomic<bool>* stop) {
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
  // The object exists before the upload, so that the set is removed even if the upload fails. After
  // a failure the set may exist, because only the answer may have been lost.
  std::unique_ptr<MadeKeySet> made(
      new MadeKeySet(client, std::move(name), connection.client.address, stop));
  ASSIGN_OR_RETURN(const KeySetInfo info, client->PutKeySet(made->name(), contents.keys, put));
  made->version_ = info.version;
  return made;
}

void MadeKeySet::Warn(const absl::Status& removed) {
  if (!removed.ok()) std::fprintf(stderr, "warning: %s\n", Printable(removed.message()).c_str());
}

absl::Status MadeKeySet::Remove(absl::Time end) {
  if (std::exchange(removed_, true)) return absl::OkStatus();
  const Clock* const clock = Clock::Monotonic();
  const bool was_stopped = *stop_;
  const auto is_over = [&] { return clock->Now() >= end || *stop_ != was_stopped; };
  absl::Status status = TryRemove(end);
  if (absl::IsUnavailable(status) && !is_over()) {
    std::fprintf(stderr,
                 "waiting for the server, to remove the key set '%s'; interrupt to leave it\n",
                 name_.c_str());
  }
  while (absl::IsUnavailable(status) && !is_over()) {
    absl::SleepFor(kRemovePause);
    status = TryRemove(end);
  }
  if (status.ok()) return status;
  const bool may_be_there = !absl::IsNotFound(status) && !absl::IsFailedPrecondition(status);
  return absl::Status(status.code(),
                      absl::StrCat("could not remove the key set '", name_, "': ", status.message(),
                                   may_be_there ? absl::StrCat("; later: qkctl keys delete ", name_,
                                                               " --server=", address_)
                                                : ""));
}

absl::Status MadeKeySet::TryRemove(absl::Time end) {
  const auto time_left = [end] { return std::max(end - Clock::Monotonic()->Now(), kShortestTry); };
  const absl::StatusOr<KeySetInfo> info = client_->GetKeySet(name_, time_left());
  if (absl::IsNotFound(info.status())) {
    if (version_ == 0) return absl::OkStatus();
    return absl::NotFoundError(
        "it is not there: somebody removed it, the server restarted without --key_set_dir, or "
        "--server stands for several servers, and it is on another one");
  }
  if (info.ok() && version_ != 0 && info->version != version_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "version ", version_, " was made here, and somebody else made ", info->version));
  }
  // If the version on the server cannot be read, the set is deleted only after DATA_LOSS.
  if (!info.ok() && !absl::IsDataLoss(info.status())) return info.status();
  const absl::Status status = client_->DeleteKeySet(name_, time_left());
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace qkserve
