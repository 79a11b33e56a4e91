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
#include "tools/load/random_source.h"
#include "tools/qkctl/input/upload_limits.h"
#include "tools/qkctl/output/upload_progress.h"

namespace qkserve {
namespace {

// Making and removing key sets is not measured. It has 10 s even where the timeout of requests is
// short, so that nothing is left behind.
absl::Duration AtLeastTenSeconds(absl::Duration timeout) {
  return std::max(timeout, absl::Seconds(10));
}

constexpr int kRemoveTries = 20;
constexpr absl::Duration kRemovePause = absl::Milliseconds(150);

}  // namespace

bool ParseFlag(absl::string_view text, KeySetSizes* sizes, std::string* error) {
  std::vector<int64_t> parts;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t size = 0;
    if (!absl::SimpleAtoi(part, &size) || size < 0) {
      parts.clear();
      break;
    }
    parts.push_back(size);
  }
  if (parts.size() != 2 && parts.size() != 3) {
    *error = "expected m,d or m,d,dv, each 0 or more";
    return false;
  }
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
                                                               const MakeKeySetOptions& options) {
  const absl::Duration timeout = AtLeastTenSeconds(options.timeout);
  const absl::Status exists = client->GetKeySet(name, timeout).status();
  if (exists.ok() || absl::IsDataLoss(exists)) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is a key set '", name,
                     "', and --make_key_set removes what it made: choose another --key_set"));
  }
  if (!absl::IsNotFound(exists)) return exists;

  PutKeySetOptions put;
  put.values = contents.values;
  put.storage = options.storage;
  put.chunk_bytes = UploadChunkBytes(options.message_bytes_max);
  put.timeout = AtLeastTenSeconds(UploadTimeout(options.timeout, contents.keys, contents.values));
  UploadProgressLine line(Clock::Monotonic());
  put.progress = [&line](int64_t sent, int64_t total) { line.Show(sent, total); };
  // It is removed where the upload fails, too: the answer may have been lost.
  std::unique_ptr<MadeKeySet> made(new MadeKeySet(client, std::move(name), timeout));
  const absl::StatusOr<KeySetInfo> info = client->PutKeySet(made->name(), contents.keys, put);
  if (!info.ok()) return info.status();
  made->version_ = info->version;
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
