#include "core/key_sets/storage/checksum.h"

#include <xxhash.h>

#include "absl/strings/str_format.h"

namespace qkserve {

Checksum::Checksum() : state_(XXH3_createState()) { XXH3_64bits_reset(state_.get()); }

void Checksum::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

void Checksum::Add(const std::byte* data, int64_t size) {
  if (size > 0) XXH3_64bits_update(state_.get(), data, static_cast<size_t>(size));
}

uint64_t Checksum::Value() const { return XXH3_64bits_digest(state_.get()); }

uint64_t ChecksumOf(absl::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string ChecksumText(uint64_t checksum) { return absl::StrFormat("%016x", checksum); }

}  // namespace qkserve
