#ifndef QKSERVE_TESTS_FUZZ_FUZZ_INPUT_H_
#define QKSERVE_TESTS_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// Reads an input piece by piece from its beginning. After its end, all reads give zeros and empty
// pieces.
class FuzzInput {
 public:
  explicit FuzzInput(absl::string_view bytes) : bytes_(bytes) {}

  bool empty() const { return bytes_.empty(); }

  uint8_t Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }

  // Returns a number from 0 to count - 1.
  int Below(int count) { return Byte() % count; }
  bool Flag() { return Byte() % 2 == 1; }

  // A piece is its length in two bytes, then as many bytes.
  absl::string_view Piece() {
    const size_t low = Byte();
    const size_t high = Byte();
    const absl::string_view piece = bytes_.substr(0, low | high << 8);
    bytes_.remove_prefix(piece.size());
    return piece;
  }

  absl::string_view Rest() const { return bytes_; }

 private:
  absl::string_view bytes_;
};

// Returns the bytes from which Piece reads `piece`, which must have less than 64 KiB.
inline std::string AsPiece(absl::string_view piece) {
  return absl::StrCat(std::string(1, static_cast<char>(piece.size() & 255)),
                      std::string(1, static_cast<char>(piece.size() >> 8)), piece);
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_FUZZ_FUZZ_INPUT_H_
