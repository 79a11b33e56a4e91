// The calls on key sets.

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "client/upload.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"

namespace qkserve {
namespace {

// The server's limit. Fewer round trips; a page is far below any message limit.
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
    absl::StatusOr<TensorSpec> keys = FromProto(key_set.keys());
    if (!keys.ok()) return keys.status();
    info.keys = *std::move(keys);
  }
  if (key_set.has_values()) {
    absl::StatusOr<TensorSpec> values = FromProto(key_set.values());
    if (!values.ok()) return values.status();
    info.values = *std::move(values);
  }
  return info;
}

void ToProto(const TensorSpec& spec, v1::TensorSpec& out) {
  out.set_data_type(static_cast<v1::DataType>(spec.data_type));
  out.mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
}

// Fills the fields that the headers of put and append share.
template <typename Header, typename Options>
void FillHeader(const std::string& name, const TensorSource& keys, const Options& options,
                Header& header) {
  header.set_name(name);
  ToProto(keys.spec, *header.mutable_keys());
  if (options.values.has_value()) ToProto(options.values->spec, *header.mutable_values());
}

// Runs a call that `context` and `writer` belong to; the reply is in `response` at its end.
template <typename Request, typename Response>
absl::StatusOr<KeySetInfo> RunUpload(const Upload& upload, const Request& header,
                                     grpc::ClientContext& context,
                                     grpc::ClientWriterInterface<Request>* writer,
                                     const Response& response) {
  UploadSender<Request> sender(upload, writer);
  const absl::Status sent = sender.Send(header);
  // The server must not take the part for the whole.
  if (!sent.ok()) context.TryCancel();
  const grpc::Status status = writer->Finish();
  if (!sent.ok()) return sent;
  if (!status.ok()) return FromGrpcStatus(status);
  if (!sender.sent_all()) return absl::InternalError("the server answered before all was sent");
  return FromProto(response.key_set());
}

}  // namespace

absl::StatusOr<KeySetInfo> Client::PutKeySet(const std::string& name, const TensorSource& keys,
                                             const PutKeySetOptions& options) {
  absl::StatusOr<Upload> upload =
      MakeUpload(keys, options.values, options.progress, options.chunk_bytes);
  if (!upload.ok()) return upload.status();
  v1::PutKeySetRequest request;
  v1::PutKeySetRequest::Header& header = *request.mutable_header();
  FillHeader(name, keys, options, header);
  if (options.storage.has_value()) {
    header.set_storage(static_cast<v1::DataType>(*options.storage));
  }
  grpc::ClientContext context;
  PrepareCall(context, options.timeout, name);
  v1::PutKeySetResponse response;
  const auto writer = NextStubs().key_sets->PutKeySet(&context, &response);
  return RunUpload(*upload, request, context, writer.get(), response);
}

absl::StatusOr<KeySetInfo> Client::AppendKeySet(const std::string& name, int64_t expected_version,
                                                const TensorSource& keys,
                                                const AppendKeySetOptions& options) {
  absl::StatusOr<Upload> upload =
      MakeUpload(keys, options.values, options.progress, options.chunk_bytes);
  if (!upload.ok()) return upload.status();
  v1::AppendKeySetRequest request;
  v1::AppendKeySetRequest::Header& header = *request.mutable_header();
  FillHeader(name, keys, options, header);
  header.set_expected_version(expected_version);
  grpc::ClientContext context;
  PrepareCall(context, options.timeout, name);
  v1::AppendKeySetResponse response;
  const auto writer = NextStubs().key_sets->AppendKeySet(&context, &response);
  return RunUpload(*upload, request, context, writer.get(), response);
}

absl::StatusOr<KeySetInfo> Client::GetKeySet(const std::string& name, absl::Duration timeout) {
  grpc::ClientContext context;
  PrepareCall(context, timeout, name);
  v1::GetKeySetRequest request;
  request.set_name(name);
  v1::GetKeySetResponse response;
  const grpc::Status status = NextStubs().key_sets->GetKeySet(&context, request, &response);
  if (!status.ok()) return ToStatus(status);
  return FromProto(response.key_set());
}

absl::StatusOr<std::vector<KeySetInfo>> Client::ListKeySets(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<KeySetInfo> key_sets;
  v1::ListKeySetsRequest request;
  request.set_page_size(kPageSize);
  while (true) {
    grpc::ClientContext context;
    PrepareCall(context, deadline - absl::Now());
    v1::ListKeySetsResponse response;
    const grpc::Status status = NextStubs().key_sets->ListKeySets(&context, request, &response);
    if (!status.ok()) return ToStatus(status);
    for (const v1::KeySet& key_set : response.key_sets()) {
      absl::StatusOr<KeySetInfo> info = FromProto(key_set);
      if (!info.ok()) return info.status();
      key_sets.push_back(*std::move(info));
    }
    if (response.next_page_token().empty()) return key_sets;
    if (response.next_page_token() == request.page_token()) {
      return absl::InternalError("the reply's next page is the same page");
    }
    request.set_page_token(std::move(*response.mutable_next_page_token()));
  }
}

absl::Status Client::DeleteKeySet(const std::string& name, absl::Duration timeout) {
  grpc::ClientContext context;
  PrepareCall(context, timeout, name);
  v1::DeleteKeySetRequest request;
  request.set_name(name);
  v1::DeleteKeySetResponse response;
  return ToStatus(NextStubs().key_sets->DeleteKeySet(&context, request, &response));
}

}  // namespace qkserve
