#include "core/key_sets/row_stream.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/panels.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

absl::Status GetMemory(int64_t bytes, Buffer& buffer) {
  if (static_cast<int64_t>(buffer.size_bytes()) >= bytes) return absl::OkStatus();
  ASSIGN_OR_RETURN(buffer, Buffer::Allocate(static_cast<size_t>(bytes)));
  return absl::OkStatus();
}

// Returns how many rows are converted at a time: a panel of rows, but at most 1 MiB and at least
// one row. A panel of rows makes calls few, and 1 MiB stays in the cache.
int64_t BatchRows(int64_t row_bytes) {
  return std::clamp(kMiB / std::max<int64_t>(row_bytes, 1), int64_t{1}, kPanelKeys);
}

// True if a finite element became infinite in a 16-bit type. The loop has no branches, which lets
// compilers vectorise it.
bool HasOverflow(DataType type, const float* from, const std::byte* narrowed, int64_t count) {
  if (type == DataType::kFloat32) return false;
  constexpr uint32_t kInfinity32 = 0x7f800000;
  const uint32_t infinity16 = type == DataType::kFloat16 ? 0x7c00 : 0x7f80;
  uint32_t overflows = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint16_t to = 0;
    std::memcpy(&to, narrowed + 2 * i, sizeof(to));
    const uint32_t magnitude = std::bit_cast<uint32_t>(from[i]) & 0x7fffffff;
    overflows |= static_cast<uint32_t>((to & 0x7fffu) == infinity16) &
                 static_cast<uint32_t>(magnitude < kInfinity32);
  }
  return overflows != 0;
}

}  // namespace

RowStream::RowStream(const Source& source, DataType type, RowSink sink)
    : source_(source),
      type_(type),
      sink_(std::move(sink)),
      row_bytes_(source.columns * ElementBytes(source.type)),
      bytes_(source.matrices * source.rows * row_bytes_),
      batch_rows_(BatchRows(row_bytes_)) {}

absl::Status RowStream::Add(absl::string_view bytes) {
  if (static_cast<int64_t>(bytes.size()) > bytes_ - received_) {
    return absl::InvalidArgumentError(absl::StrCat(source_.name, ": got more than the ", bytes_,
                                                   " bytes of ", DataTypeName(source_.type),
                                                   " that the header announced"));
  }
  received_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const auto size = static_cast<int64_t>(bytes.size());
    if (pending_bytes_ == 0 && size >= row_bytes_) {
      const int64_t count = std::min(size / row_bytes_, batch_rows_);
      RETURN_IF_ERROR(Emit(reinterpret_cast<const std::byte*>(bytes.data()), count));
      bytes.remove_prefix(static_cast<size_t>(count * row_bytes_));
      continue;
    }
    RETURN_IF_ERROR(GetMemory(row_bytes_, pending_));
    const int64_t taken = std::min(size, row_bytes_ - pending_bytes_);
    std::memcpy(pending_.data() + pending_bytes_, bytes.data(), static_cast<size_t>(taken));
    bytes.remove_prefix(static_cast<size_t>(taken));
    pending_bytes_ += taken;
    if (pending_bytes_ < row_bytes_) break;
    pending_bytes_ = 0;
    RETURN_IF_ERROR(Emit(pending_.data(), 1));
  }
  return absl::OkStatus();
}

absl::Status RowStream::Finish() const {
  if (received_ == bytes_) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(source_.name, ": got ", received_, " bytes of ",
                                                 DataTypeName(source_.type),
                                                 ", the header announced ", bytes_));
}

absl::Status RowStream::Overflow(const float* floats, int64_t elements) const {
  int64_t at = 0;
  while (at < elements && !HasOverflow(type_, floats + at, narrowed_.data() + 2 * at, 1)) ++at;
  const int64_t row = emitted_ + at / source_.columns;
  return absl::InvalidArgumentError(absl::StrCat(
      source_.name, ": got ", floats[at], " in matrix ", row / source_.rows, ", row ",
      row % source_.rows, ", column ", at % source_.columns, " (counted from 0), expected at most ",
      type_ == DataType::kFloat16 ? "65504" : "3.38953e+38", " in magnitude, the largest of ",
      DataTypeName(type_), ", which the set is kept in"));
}

absl::Status RowStream::Emit(const std::byte* rows, int64_t count) {
  if (type_ != source_.type) {
    const int64_t elements = count * source_.columns;
    RETURN_IF_ERROR(GetMemory(elements * 4, widened_));
    RETURN_IF_ERROR(GetMemory(elements * ElementBytes(type_), narrowed_));
    auto* const floats = reinterpret_cast<float*>(widened_.data());
    ConvertToFloat32(source_.type, rows, elements, floats);
    ConvertFromFloat32(type_, floats, elements, narrowed_.data());
    if (HasOverflow(type_, floats, narrowed_.data(), elements)) return Overflow(floats, elements);
    rows = narrowed_.data();
  }
  RETURN_IF_ERROR(sink_(emitted_, count, rows));
  emitted_ += count;
  return absl::OkStatus();
}

}  // namespace qkserve
