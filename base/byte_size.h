#ifndef QKSERVE_BASE_BYTE_SIZE_H_
#define QKSERVE_BASE_BYTE_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// Sizes of memory and messages, as people write them.

// Reads a number of bytes, or a number with a unit: KiB, MiB, GiB, TiB (powers of 1024; Ki, Mi, Gi
// and Ti as well) or KB, MB, GB, TB (powers of 1000), in any case. A number with a unit may have a
// fraction. If it returns false, `*bytes` may have changed.
bool ParseByteSize(absl::string_view text, int64_t* bytes);

// A description of what ParseByteSize reads, for errors.
inline constexpr char kByteSizeExpected[] =
    "expected a size, as 2GiB, 512MiB or 1GB, or a number of bytes";

// Exactly this size, in the unit that makes the number smallest: "2GiB", "1GB", "1023".
std::string FormatByteSize(int64_t bytes);

// The size in a unit that suits it, a power of 1024, with one decimal: "29.3 MiB", "1023 B".
std::string RoundByteSize(int64_t bytes);

}  // namespace qkserve

#endif  // QKSERVE_BASE_BYTE_SIZE_H_
