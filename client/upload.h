#ifndef QKSERVE_CLIENT_UPLOAD_H_
#define QKSERVE_CLIENT_UPLOAD_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "grpcpp/support/sync_stream.h"
#include "qkserve/key_set.h"
#include "qkserve/v1/key_set.pb.h"

// The elements of a put or an append on their way. Not for users of the library.

namespace qkserve {

struct Upload {
  TensorSource keys;
  std::optional<TensorSource> values;
  UploadProgress progress;
  int64_t chunk_bytes;
  int64_t keys_bytes;
  int64_t values_bytes;  // 0 without values

  int64_t TotalBytes() const { return keys_bytes + values_bytes; }
};

// INVALID_ARGUMENT: the shape is not one of a tensor, or chunk_bytes is not positive.
absl::StatusOr<Upload> MakeUpload(const TensorSource& keys,
                                  const std::optional<TensorSource>& values,
                                  const UploadProgress& progress, int64_t chunk_bytes);

// Sends a header and then the elements, chunk after chunk in the memory of one message.
// `Request` is PutKeySetRequest or AppendKeySetRequest.
template <typename Request>
class UploadSender {
 public:
  using Writer = grpc::ClientWriterInterface<Request>;

  UploadSender(const Upload& upload, Writer* writer) : upload_(upload), writer_(writer) {}

  // Returns OK early if the server stops reading: Finish then has the reason. Otherwise returns the
  // error of a source.
  absl::Status Send(const Request& header) {
    open_ = writer_->Write(header);
    absl::Status status = SendTensor(upload_.keys, upload_.keys_bytes,
                                     [](auto& chunk) { return chunk.mutable_keys(); });
    request_.mutable_chunk()->clear_keys();
    if (status.ok() && upload_.values.has_value()) {
      status = SendTensor(*upload_.values, upload_.values_bytes,
                          [](auto& chunk) { return chunk.mutable_values(); });
    }
    if (status.ok() && open_) writer_->WritesDone();
    return status;
  }

  bool sent_all() const { return open_ && sent_bytes_ == upload_.TotalBytes(); }

 private:
  template <typename Field>
  absl::Status SendTensor(const TensorSource& source, int64_t bytes, Field field) {
    for (int64_t offset = 0; open_ && offset < bytes;) {
      const int64_t count = std::min(upload_.chunk_bytes, bytes - offset);
      std::string* const data = field(*request_.mutable_chunk());
      data->resize(static_cast<size_t>(count));
      absl::Status status = source.read(offset, absl::MakeSpan(*data));
      if (!status.ok()) return status;
      open_ = writer_->Write(request_);
      if (!open_) break;
      offset += count;
      sent_bytes_ += count;
      if (upload_.progress) upload_.progress(sent_bytes_, upload_.TotalBytes());
    }
    return absl::OkStatus();
  }

  const Upload& upload_;
  Writer* const writer_;
  Request request_;
  bool open_ = false;  // the server still reads
  int64_t sent_bytes_ = 0;
};

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_UPLOAD_H_
