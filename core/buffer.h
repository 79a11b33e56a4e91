#ifndef QKSERVE_CORE_BUFFER_H_
#define QKSERVE_CORE_BUFFER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"

namespace qkserve {

// Bytes with one owner: a move-only block that knows how to give its memory back, wherever it came
// from (this allocator, a protobuf string, a gRPC slice, shared memory).
//
// Thread-compatible.
class Buffer {
 public:
  // Alignment of what Allocate returns: a cache line, and the widest vector register.
  static constexpr size_t kAlignment = 64;

  using Deleter = std::function<void(std::byte*)>;

  Buffer() = default;

  // Takes memory from elsewhere; `deleter` is called once with `data`.
  Buffer(std::byte* data, size_t size_bytes, Deleter deleter)
      : data_(data, std::move(deleter)), size_bytes_(size_bytes) {}

  // Uninitialised memory, aligned to kAlignment. The pages are not touched.
  // RESOURCE_EXHAUSTED if there is none.
  static absl::StatusOr<Buffer> Allocate(size_t size_bytes);

  // Memory that is all zero, for what stays long: large ones are in huge pages where the system
  // has them, and pages are not touched. RESOURCE_EXHAUSTED if there is none.
  static absl::StatusOr<Buffer> AllocateZeroed(size_t size_bytes);

  // Memory that is all zero and seldom needed: a page of large ones is taken once it is written.
  // RESOURCE_EXHAUSTED if there is none.
  static absl::StatusOr<Buffer> AllocateOnDemand(size_t size_bytes);

  // What is moved from is empty.
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

#endif  // QKSERVE_CORE_BUFFER_H_
