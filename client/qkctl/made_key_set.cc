#include "client/qkctl/made_key_set.h"

#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/qkctl/shared_flags.h"
#include "client/qkctl/storage_flag.h"
#include "client/qkctl/upload_limits.h"
#include "client/qkctl/upload_progress.h"
#include "core/clock.h"

namespace qkserve {
namespace {

// Splitmix64 (Steele, Lea, Flood 2014): its state is a counter, so that any element can be made
// alone.
uint64_t Mixed(uint64_t seed, uint64_t index) {
  uint64_t z = (seed << 32) + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

float RandomElement(uint64_t seed, int64_t index) {
  // 24 bits: every value is a float32.
  constexpr float kStep = 1.0F / (1 << 23);
  return static_cast<float>(Mixed(seed, static_cast<uint64_t>(index)) >> 40) * kStep - 1.0F;
}

}  // namespace

bool AbslParseFlag(absl::string_view text, MakeKeySetFlag* flag, std::string* error) {
  std::vector<int64_t> sizes;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t size = 0;
    if (!absl::SimpleAtoi(part, &size) || size < 0) {
      sizes.clear();
      break;
    }
    sizes.push_back(size);
  }
  if (sizes.size() != 2 && sizes.size() != 3) {
    *error = "expected m,d or m,d,dv, each 0 or more";
    return false;
  }
  *flag = {sizes[0], sizes[1], sizes.size() == 3 ? std::optional(sizes[2]) : std::nullopt};
  return true;
}

std::string AbslUnparseFlag(const MakeKeySetFlag& flag) {
  return absl::StrCat(flag.m, ",", flag.d, flag.dv.has_value() ? absl::StrCat(",", *flag.dv) : "");
}

TensorSource RandomSource(Shape shape, uint64_t seed, const std::atomic<bool>* stop) {
  return TensorSource(
      DataType::kFloat32, std::move(shape), [seed, stop](int64_t offset, absl::Span<char> out) {
        if (*stop) return absl::CancelledError("interrupted while the key set was made");
        const int64_t first = offset / 4;
        // Chunks are multiples of an element's size (UploadChunkBytes).
        for (size_t i = 0; i < out.size() / 4; ++i) {
          const float element = RandomElement(seed, first + static_cast<int64_t>(i));
          std::memcpy(out.data() + 4 * i, &element, 4);
        }
        return absl::OkStatus();
      });
}

absl::StatusOr<std::unique_ptr<MadeKeySet>> MadeKeySet::Create(Client* client, std::string name,
                                                               const MakeKeySetFlag& flag,
                                                               uint64_t seed,
                                                               const std::atomic<bool>* stop) {
  if (name.empty())
    name = absl::StrCat("qkctl-load-", getpid(), "-", absl::ToUnixNanos(absl::Now()));
  const absl::Duration timeout = absl::GetFlag(FLAGS_timeout);
  const absl::Status exists = client->GetKeySet(name, timeout).status();
  if (exists.ok() || absl::IsDataLoss(exists)) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is a key set '", name,
                     "', and --make_key_set removes what it made: choose another --key_set"));
  }
  if (!absl::IsNotFound(exists)) return exists;

  PutKeySetOptions options;
  options.storage = StorageFromFlag();
  options.chunk_bytes = UploadChunkBytes();
  const TensorSource keys = RandomSource({flag.m, flag.d}, seed, stop);
  if (flag.dv.has_value()) options.values = RandomSource({flag.m, *flag.dv}, seed + 1, stop);
  options.timeout = UploadTimeout(keys, options.values);
  UploadProgressLine line(Clock::Monotonic());
  options.progress = [&line](int64_t sent, int64_t total) { line.Tell(sent, total); };
  // It is removed where the upload fails, too: the answer may have been lost.
  std::unique_ptr<MadeKeySet> made(new MadeKeySet(client, std::move(name)));
  const absl::StatusOr<KeySetInfo> info = client->PutKeySet(made->name(), keys, options);
  if (!info.ok()) return info.status();
  return made;
}

absl::Status MadeKeySet::Remove() {
  if (std::exchange(removed_, true)) return absl::OkStatus();
  const absl::Status status = client_->DeleteKeySet(name_, absl::GetFlag(FLAGS_timeout));
  if (status.ok() || absl::IsNotFound(status)) return absl::OkStatus();
  return absl::Status(status.code(), absl::StrCat("could not remove the key set '", name_,
                                                  "': ", status.message()));
}

}  // namespace qkserve
