#include "tools/qkctl/input/upload_limits.h"

#include <algorithm>

#include "absl/flags/flag.h"
#include "qkserve/limits.h"
#include "qkserve/tensor.h"
#include "tools/qkctl/flags/shared_flags.h"

namespace qkserve {
namespace {

// Shapes that nobody can have are for the upload to refuse: 0.
double MiBOf(const TensorSpec& spec) {
  return static_cast<double>(ElementCount(spec.shape).value_or(0)) *
         static_cast<double>(ElementBytes(spec.data_type)) / static_cast<double>(kMiB);
}

}  // namespace

absl::Duration UploadTimeout(const TensorSource& keys, const std::optional<TensorSource>& values) {
  const double mib = MiBOf(keys.spec) + (values.has_value() ? MiBOf(values->spec) : 0);
  return absl::GetFlag(FLAGS_timeout) + absl::Seconds(mib);
}

int64_t UploadChunkBytes() {
  constexpr int64_t kAroundBytes = 64;
  const int64_t room = absl::GetFlag(FLAGS_message_bytes_max) - kAroundBytes;
  return std::clamp<int64_t>(room / 4 * 4, 4, kUploadChunkBytes);
}

}  // namespace qkserve
