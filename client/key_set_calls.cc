// The calls on key sets.

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "client/retry_policy.h"
#include "client/tensor_bytes.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"

namespace qkserve {
namespace {

// The largest page that the server allows. Larger pages need fewer round trips. Even this page is
// far below any message limit.
constexpr int32_t kPageSize = 1000;

absl::StatusOr<TensorSpec> FromProto(const v1::TensorSpec& spec) {
  if (!IsDataType(spec.data_type())) {
    return absl::InternalError(
        absl::StrCat("the reply has data type ", static_cast<int>(spec.data_type())));
  }
  return TensorSpec{static_cast<DataType>(spec.data_type()),
                    Shape(spec.shape().begin(), spec.shape().end())};
}

absl::StatusOr<KeySetInfo> FromProto(const v1::KeySet& key_set) {
  KeySetInfo info;
  info.name = key_set.name();
  info.version = key_set.version();
  info.memory_bytes = key_set.memory_bytes();
  info.requests_served = key_set.requests_served();
  info.problem = key_set.problem();
  if (key_set.has_keys()) {
    ASSIGN_OR_RETURN(info.keys, FromProto(key_set.keys()));
  }
  if (key_set.has_values()) {
    ASSIGN_OR_RETURN(info.values, FromProto(key_set.values()));
  }
  return info;
}

void ToProto(const TensorSpec& spec, v1::TensorSpec& out) {
  out.set_data_type(static_cast<v1::DataType>(spec.data_type));
  out.mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
}

absl::StatusOr<int64_t> SourceBytes(absl::string_view name, const TensorSource& source) {
  return TensorBytes(name, source.spec.data_type, source.spec.shape, source.size_bytes);
}

// Sends a header, and then the elements chunk by chunk. All chunks use the memory of one message.
// `Request` is PutKeySetRequest or AppendKeySetRequest.
template <typename Request>
class UploadSender {
 public:
  using Writer = grpc::ClientWriterInterface<Request>;

  UploadSender(int64_t chunk_bytes, int64_t total_bytes, const UploadProgress& progress,
               Writer* writer)
      : chunk_bytes_(chunk_bytes),
        total_bytes_(total_bytes),
        progress_(progress),
        writer_(writer) {}

  // Returns OK early if the server stops reading; Finish then returns the reason. An error is
  // always an error of a source.
  absl::Status Send(const Request& header, const TensorSource& keys, int64_t keys_bytes,
                    const std::optional<TensorSource>& values) {
    open_ = writer_->Write(header);
    RETURN_IF_ERROR(SendTensor(keys, keys_bytes, [](auto& chunk) { return chunk.mutable_keys(); }));
    request_.mutable_chunk()->clear_keys();
    if (values.has_value()) {
      RETURN_IF_ERROR(SendTensor(*values, total_bytes_ - keys_bytes,
                                 [](auto& chunk) { return chunk.mutable_values(); }));
    }
    if (open_) writer_->WritesDone();
    return absl::OkStatus();
  }

  bool sent_all() const { return open_ && sent_bytes_ == total_bytes_; }

 private:
  template <typename Field>
  absl::Status SendTensor(const TensorSource& source, int64_t bytes, Field field) {
    for (int64_t offset = 0; open_ && offset < bytes;) {
      const int64_t count = std::min(chunk_bytes_, bytes - offset);
      std::string* const data = field(*request_.mutable_chunk());
      data->resize(static_cast<size_t>(count));
      RETURN_IF_ERROR(source.read(offset, absl::MakeSpan(*data)));
      open_ = writer_->Write(request_);
      if (!open_) break;
      offset += count;
      sent_bytes_ += count;
      if (progress_) progress_(sent_bytes_, total_bytes_);
    }
    return absl::OkStatus();
  }

  const int64_t chunk_bytes_;
  const int64_t total_bytes_;
  const UploadProgress& progress_;
  Writer* const writer_;
  Request request_;
  bool open_ = false;  // true while the server reads
  int64_t sent_bytes_ = 0;
};

}  // namespace

// Completes the header of `request`. In each attempt, sends the header and all elements to the
// writer that `begin` returns. `Options` is PutKeySetOptions or AppendKeySetOptions.
// INVALID_ARGUMENT: TensorBytes refuses a tensor, the bytes of both tensors do not fit in 64 bits,
// or chunk_bytes is not positive.
template <typename Request, typename Response, typename Options>
absl::StatusOr<KeySetInfo> Client::Upload(
    std::unique_ptr<grpc::ClientWriterInterface<Request>> (
        v1::KeySetService::StubInterface::*begin)(grpc::ClientContext*, Response*),
    Repeat repeat, const std::string& name, const TensorSource& keys, const Options& options,
    Request request) {
  if (options.chunk_bytes < 1) {
    return InvalidArgument("chunk_bytes must be positive; was ", options.chunk_bytes);
  }
  auto& header = *request.mutable_header();
  header.set_name(name);
  ToProto(keys.spec, *header.mutable_keys());
  ASSIGN_OR_RETURN(const int64_t keys_bytes, SourceBytes("keys", keys));
  int64_t values_bytes = 0;
  if (options.values.has_value()) {
    ToProto(options.values->spec, *header.mutable_values());
    ASSIGN_OR_RETURN(values_bytes, SourceBytes("values", *options.values));
  }
  int64_t bytes = 0;
  if (__builtin_add_overflow(keys_bytes, values_bytes, &bytes)) {
    return InvalidArgument("keys and values together do not fit in 64 bits");
  }

  Response response;
  absl::Status sent;  // an error comes from a source
  bool sent_all = false;
  const absl::Status status = Call(
      repeat, options.timeout, name, options.metadata,
      [&](const Stubs& stubs, grpc::ClientContext& context) {
        const std::unique_ptr<grpc::ClientWriterInterface<Request>> writer =
            (stubs.key_sets.get()->*begin)(&context, &response);
        UploadSender<Request> sender(options.chunk_bytes, bytes, options.progress, writer.get());
        sent = sender.Send(request, keys, keys_bytes, options.values);
        // A failed source has given only a part of the elements. The call is cancelled, because the
        // server must not take this part for the whole.
        if (!sent.ok()) context.TryCancel();
        sent_all = sender.sent_all();
        const grpc::Status finished = writer->Finish();
        // After an error of a source the call is over, whatever the server says.
        return sent.ok() ? finished : grpc::Status::CANCELLED;
      });
  RETURN_IF_ERROR(sent);
  RETURN_IF_ERROR(status);
  if (!sent_all) return absl::InternalError("the server answered before all was sent");
  return FromProto(response.key_set());
}

absl::StatusOr<KeySetInfo> Client::PutKeySet(const std::string& name, const TensorSource& keys,
                                             const PutKeySetOptions& options) {
  v1::PutKeySetRequest request;
  if (options.storage.has_value()) {
    request.mutable_header()->set_storage(static_cast<v1::DataType>(*options.storage));
  }
  return Upload(&v1::KeySetService::StubInterface::PutKeySet, Repeat::kChanges, name, keys, options,
                std::move(request));
}

absl::StatusOr<KeySetInfo> Client::AppendKeySet(const std::string& name, int64_t expected_version,
                                                const TensorSource& keys,
                                                const AppendKeySetOptions& options) {
  v1::AppendKeySetRequest request;
  request.mutable_header()->set_expected_version(expected_version);
  return Upload(&v1::KeySetService::StubInterface::AppendKeySet, Repeat::kChecked, name, keys,
                options, std::move(request));
}

absl::StatusOr<KeySetInfo> Client::GetKeySet(const std::string& name, absl::Duration timeout,
                                             const Metadata& metadata) {
  v1::GetKeySetRequest request;
  request.set_name(name);
  v1::GetKeySetResponse response;
  RETURN_IF_ERROR(Call(Repeat::kReads, timeout, name, metadata,
                       [&](const Stubs& stubs, grpc::ClientContext& context) {
                         return stubs.key_sets->GetKeySet(&context, request, &response);
                       }));
  return FromProto(response.key_set());
}

absl::StatusOr<std::vector<KeySetInfo>> Client::ListKeySets(absl::Duration timeout,
                                                            const Metadata& metadata) {
  const absl::Time deadline = Clock::Monotonic()->Now() + timeout;
  std::vector<KeySetInfo> key_sets;
  v1::ListKeySetsRequest request;
  request.set_page_size(kPageSize);
  while (true) {
    v1::ListKeySetsResponse response;
    RETURN_IF_ERROR(Call(Repeat::kReads, deadline - Clock::Monotonic()->Now(), "", metadata,
                         [&](const Stubs& stubs, grpc::ClientContext& context) {
                           return stubs.key_sets->ListKeySets(&context, request, &response);
                         }));
    for (const v1::KeySet& key_set : response.key_sets()) {
      ASSIGN_OR_RETURN(key_sets.emplace_back(), FromProto(key_set));
    }
    if (response.next_page_token().empty()) return key_sets;
    if (response.next_page_token() == request.page_token()) {
      return absl::InternalError("the reply's next page is the same page");
    }
    request.set_page_token(std::move(*response.mutable_next_page_token()));
  }
}

absl::Status Client::DeleteKeySet(const std::string& name, absl::Duration timeout,
                                  const Metadata& metadata) {
  v1::DeleteKeySetRequest request;
  request.set_name(name);
  v1::DeleteKeySetResponse response;
  return Call(Repeat::kChanges, timeout, name, metadata,
              [&](const Stubs& stubs, grpc::ClientContext& context) {
                return stubs.key_sets->DeleteKeySet(&context, request, &response);
              });
}

}  // namespace qkserve
