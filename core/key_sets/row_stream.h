#ifndef QKSERVE_CORE_KEY_SETS_ROW_STREAM_H_
#define QKSERVE_CORE_KEY_SETS_ROW_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "qkserve/buffer.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Takes rows `row` to `row + count - 1`, counted over all matrices. The rows need not be aligned.
// An error ends the stream.
using RowSink = std::function<absl::Status(int64_t row, int64_t count, const std::byte* rows)>;

// Receives the bytes of a row-major tensor [matrices, rows, columns] in pieces that may be cut
// anywhere. Passes whole rows to a RowSink, in the type of the set.
//
// Thread-compatible.
class RowStream {
 public:
  struct Source {
    const char* name;  // name of the tensor in errors, a string literal
    DataType type;     // type of the received bytes
    int64_t matrices;
    int64_t rows;
    int64_t columns;
  };

  // `type` is the type in the set.
  RowStream(const Source& source, DataType type, RowSink sink);

  // Adds the next bytes. INVALID_ARGUMENT: there are more bytes than the tensor has, or a finite
  // element would be infinite in the set's type. RESOURCE_EXHAUSTED: no memory for a row. Other
  // errors are the sink's.
  absl::Status Add(absl::string_view bytes);

  // Checks that all bytes were received. Call it after the last Add. INVALID_ARGUMENT: bytes are
  // missing.
  absl::Status Finish() const;

 private:
  absl::Status Emit(const std::byte* rows, int64_t count);
  // Returns INVALID_ARGUMENT for `elements` elements that begin at `floats`. The message gives the
  // value and the place of the first one that the set's type cannot hold.
  absl::Status Overflow(const float* floats, int64_t elements) const;

  const Source source_;
  const DataType type_;
  const RowSink sink_;
  const int64_t row_bytes_;
  const int64_t bytes_;       // bytes of the tensor
  const int64_t batch_rows_;  // rows emitted at a time
  int64_t received_ = 0;      // bytes received so far
  int64_t emitted_ = 0;       // rows emitted so far, over all matrices
  Buffer pending_;            // bytes that wait for the rest of their rows
  int64_t pending_bytes_ = 0;
  Buffer widened_, narrowed_;  // rows while they are converted
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_ROW_STREAM_H_
