#include "core/buffer.h"

#include <cstdlib>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace qkserve {

absl::StatusOr<Buffer> Buffer::Allocate(size_t size_bytes) {
  if (size_bytes == 0) return Buffer();
  void* data = nullptr;
  if (size_bytes <= std::numeric_limits<size_t>::max() - kAlignment) {
    // aligned_alloc wants a whole number of alignments.
    data = std::aligned_alloc(kAlignment, (size_bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  if (data == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory for ", size_bytes, " bytes"));
  }
  return Buffer(static_cast<std::byte*>(data), size_bytes, [](std::byte* p) { std::free(p); });
}

}  // namespace qkserve
