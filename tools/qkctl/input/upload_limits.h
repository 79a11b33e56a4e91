#ifndef QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_LIMITS_H_
#define QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_LIMITS_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "qkserve/key_set.h"

namespace qkserve {

// --timeout is meant for small requests: to it comes a second for each MiB, so that a slow link
// will do for large ones.
absl::Duration UploadTimeout(const TensorSource& keys, const std::optional<TensorSource>& values);

// Chunks are to fit --message_bytes_max, with what is around them; a multiple of every element's
// size.
int64_t UploadChunkBytes();

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_INPUT_UPLOAD_LIMITS_H_
