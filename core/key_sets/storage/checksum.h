#ifndef QKSERVE_CORE_KEY_SETS_STORAGE_CHECKSUM_H_
#define QKSERVE_CORE_KEY_SETS_STORAGE_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct XXH3_state_s;

namespace qkserve {

// The 64-bit XXH3 checksum of bytes that are added in pieces. It detects damage, not forgery.
// Thread-compatible.
class Checksum {
 public:
  Checksum();

  // Adds the next `size` bytes.
  void Add(const std::byte* data, int64_t size);
  uint64_t Value() const;  // checksum of all bytes added so far

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

uint64_t ChecksumOf(absl::string_view bytes);

// Returns the checksum as 16 hexadecimal digits.
std::string ChecksumText(uint64_t checksum);

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_STORAGE_CHECKSUM_H_
