#include "tools/qkctl/input/upload.h"

#include <algorithm>

#include "qkserve/limits.h"
#include "qkserve/tensor.h"

namespace qkserve {
namespace {

// Returns the size in MiB, or 0 if no tensor can have the shape. The upload refuses such a shape.
double MiBOf(const TensorSpec& spec) {
  return static_cast<double>(ElementCount(spec.shape).value_or(0)) *
         static_cast<double>(ElementBytes(spec.data_type)) / static_cast<double>(kMiB);
}

}  // namespace

absl::Duration UploadTimeout(absl::Duration timeout, const KeySetContents& contents) {
  const double values = contents.values.has_value() ? MiBOf(contents.values->spec) : 0;
  return timeout + absl::Seconds(MiBOf(contents.keys.spec) + values);
}

int64_t UploadChunkBytes(int64_t message_bytes_max) {
  constexpr int64_t kAroundBytes = 64;
  const int64_t room = message_bytes_max - kAroundBytes;
  return std::clamp<int64_t>(room / 4 * 4, 4, kUploadChunkBytes);
}

}  // namespace qkserve
