#ifndef QKSERVE_BASE_BYTE_SIZE_H_
#define QKSERVE_BASE_BYTE_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace qkserve {

// Sizes of memory and messages, as people write them.

// Reads a number of bytes, or a number with a unit: KiB, MiB, GiB, TiB, Ki, Mi, Gi, Ti (powers of
// 1024), KB, MB, GB or TB (powers of 1000). Units may be in upper or lower case. A number with a
// unit may have a fraction. Returns false if the text is no size; `*bytes` may then have changed.
bool ParseByteSize(absl::string_view text, int64_t* bytes);

// A description of what ParseByteSize reads, for errors.
inline constexpr char kByteSizeExpected[] =
    "expected a size, as 2GiB, 512MiB or 1GB, or a number of bytes";

// Returns the exact size in the unit that makes the number smallest, for example "2GiB", "1GB" or
// "1023".
std::string FormatByteSize(int64_t bytes);

// Returns the size with one decimal, in a unit that is a power of 1024, for example "29.3 MiB".
// Below 1 KiB it has no decimal: "1023 B".
std::string RoundByteSize(int64_t bytes);

}  // namespace qkserve

#endif  // QKSERVE_BASE_BYTE_SIZE_H_
