#include "qkserve/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

absl::StatusOr<Buffer> MapZeroed(size_t size_bytes) {
  void* data =
      mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory for ", size_bytes, " bytes"));
  }
  return Buffer(static_cast<std::byte*>(data), size_bytes,
                [size_bytes](std::byte* p) { munmap(p, size_bytes); });
}

}  // namespace

absl::StatusOr<Buffer> Buffer::Allocate(size_t size_bytes) {
  if (size_bytes == 0) return Buffer();
  void* data = nullptr;
  if (size_bytes <= std::numeric_limits<size_t>::max() - kAlignment) {
    // aligned_alloc requires a multiple of the alignment.
    data = std::aligned_alloc(kAlignment, Aligned(size_bytes));
  }
  if (data == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("out of memory for ", size_bytes, " bytes"));
  }
  return Buffer(static_cast<std::byte*>(data), size_bytes, [](std::byte* p) { std::free(p); });
}

absl::StatusOr<Buffer> Buffer::AllocateZeroed(size_t size_bytes) {
  constexpr size_t kHugePageBytes = size_t{2} << 20;
  if (size_bytes < kHugePageBytes) {
    absl::StatusOr<Buffer> buffer = Allocate(size_bytes);
    if (buffer.ok() && size_bytes > 0) std::memset(buffer->data(), 0, size_bytes);
    return buffer;
  }
  ASSIGN_OR_RETURN(Buffer buffer, MapZeroed(size_bytes));
  // An error is ignored, because small pages only make the memory slower.
  static_cast<void>(madvise(buffer.data(), size_bytes, MADV_HUGEPAGE));
  return buffer;
}

absl::StatusOr<Buffer> Buffer::AllocateOnDemand(size_t size_bytes) {
  // Clearing memory up to this size takes no longer than a mapping, about 2 us.
  constexpr size_t kMappedBytesMin = size_t{64} << 10;
  return size_bytes < kMappedBytesMin ? AllocateZeroed(size_bytes) : MapZeroed(size_bytes);
}

}  // namespace qkserve
