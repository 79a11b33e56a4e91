#ifndef QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_LIMITS_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_LIMITS_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "qkserve/key_set.h"

namespace qkserve {

// `timeout` is meant for small requests. An upload has a second more for each MiB: enough for a
// link of 8 Mbit/s.
absl::Duration UploadTimeout(absl::Duration timeout, const TensorSource& keys,
                             const std::optional<TensorSource>& values);

// The largest chunk that fits a message with what is around it; a multiple of every element's size.
int64_t UploadChunkBytes(int64_t message_bytes_max);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_LIMITS_H_
