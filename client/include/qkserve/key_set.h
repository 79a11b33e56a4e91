#ifndef QKSERVE_KEY_SET_H_
#define QKSERVE_KEY_SET_H_

#include <qkserve/limits.h>
#include <qkserve/metadata.h>
#include <qkserve/tensor.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

// Arguments and results of the client's calls on key sets; see qkserve.v1.KeySetService.

namespace qkserve {

// A key set to score against. If `version` is not set, the newest version is used.
struct KeySetReference {
  std::string name;
  std::optional<int64_t> version = std::nullopt;
};

// A tensor without its elements.
struct TensorSpec {
  DataType data_type = DataType::kFloat32;
  Shape shape;
};

// The state of a key set on a server.
struct KeySetInfo {
  std::string name;
  int64_t version = 0;
  TensorSpec keys;                                  // with the type in which keys are kept
  std::optional<TensorSpec> values = std::nullopt;  // nullopt: the set has no values
  int64_t memory_bytes = 0;
  int64_t requests_served = 0;
  // Says why the newest stored version is not served. If empty, that version is served. Otherwise
  // `version` is the older version that is served. If `version` is 0, no version is served, and
  // only the name is set.
  std::string problem;
};

// A tensor that is read in pieces while it is sent. It need not fit in memory.
struct TensorSource {
  // Fills `out` with the bytes from `offset` on. The client calls it in the order of offsets, on
  // the thread that called the client. A retry of the upload begins at offset 0 again. An error
  // from this function ends the upload, which returns the same error.
  using Read = std::function<absl::Status(int64_t offset, absl::Span<char> out)>;

  TensorSource(DataType data_type, Shape shape, Read read)
      : spec{data_type, std::move(shape)}, read(std::move(read)) {}

  // A tensor in memory is a source, too. NOLINTNEXTLINE(google-explicit-constructor)
  TensorSource(const TensorView& tensor)
      : spec{tensor.data_type, tensor.shape},
        read([data = tensor.data](int64_t offset, absl::Span<char> out) {
          std::memcpy(out.data(), data + offset, out.size());
          return absl::OkStatus();
        }),
        size_bytes(tensor.size_bytes) {}

  TensorSpec spec;
  Read read;
  std::optional<int64_t> size_bytes;  // as in TensorView
};

// The client calls this function after each chunk, on the thread that called the client.
// `sent_bytes` bytes have been given to the connection. HTTP/2's flow control limits how many of
// them wait there. If the upload is retried, `sent_bytes` begins at 0 again.
using UploadProgress = std::function<void(int64_t sent_bytes, int64_t total_bytes)>;

inline constexpr int64_t kUploadChunkBytes = kMiB;

struct PutKeySetOptions {
  std::optional<TensorSource> values = std::nullopt;  // [.., m, dv]

  // The float type in which the server keeps keys and values. If not set, they are kept in the type
  // in which they are sent.
  std::optional<DataType> storage = std::nullopt;

  // The time for the whole call, including sending. It must be positive.
  absl::Duration timeout = absl::Minutes(10);

  UploadProgress progress = nullptr;
  int64_t chunk_bytes = kUploadChunkBytes;  // must be positive
  Metadata metadata = {};                   // of this call
};

struct AppendKeySetOptions {
  // Required if the key set has values, and not allowed otherwise.
  std::optional<TensorSource> values = std::nullopt;

  absl::Duration timeout = absl::Minutes(10);
  UploadProgress progress = nullptr;
  int64_t chunk_bytes = kUploadChunkBytes;
  Metadata metadata = {};
};

}  // namespace qkserve

#endif  // QKSERVE_KEY_SET_H_
