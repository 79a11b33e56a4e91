#ifndef QKSERVE_BUFFER_H_
#define QKSERVE_BUFFER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"

namespace qkserve {

// Bytes with one owner. A buffer is move-only and knows how to give its memory back, wherever the
// memory came from (Allocate, a protobuf string, a gRPC slice, shared memory).
//
// Thread-compatible.
class Buffer {
 public:
  // Memory from Allocate is aligned to a cache line. The widest vector register has the same size.
  static constexpr size_t kAlignment = 64;

  // Returns `bytes`, of any integer type, rounded up to a multiple of kAlignment.
  template <typename Bytes>
  static constexpr Bytes Aligned(Bytes bytes) {
    constexpr Bytes kLine{kAlignment};
    return (bytes + kLine - 1) / kLine * kLine;
  }

  using Deleter = std::function<void(std::byte*)>;

  Buffer() = default;

  // Takes over memory from elsewhere. `deleter` is called once with `data`, on the thread that
  // destroys the buffer.
  Buffer(std::byte* data, size_t size_bytes, Deleter deleter)
      : data_(data, std::move(deleter)), size_bytes_(size_bytes) {}

  // Allocates uninitialised memory, aligned to kAlignment. The pages are not touched.
  // RESOURCE_EXHAUSTED: out of memory.
  static absl::StatusOr<Buffer> Allocate(size_t size_bytes);

  // Allocates zeroed memory for data that stays long. Buffers of 2 MiB or more use huge pages if
  // the system has them, and their pages are not touched. RESOURCE_EXHAUSTED: out of memory.
  static absl::StatusOr<Buffer> AllocateZeroed(size_t size_bytes);

  // Allocates zeroed memory that is seldom used. A large buffer takes a page of memory only when
  // the page is written. RESOURCE_EXHAUSTED: out of memory.
  static absl::StatusOr<Buffer> AllocateOnDemand(size_t size_bytes);

  // A buffer that was moved from is empty.
  Buffer(Buffer&& other) noexcept
      : data_(std::move(other.data_)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
    return *this;
  }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::unique_ptr<std::byte[], Deleter> data_{nullptr, [](std::byte*) {}};
  size_t size_bytes_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_BUFFER_H_
