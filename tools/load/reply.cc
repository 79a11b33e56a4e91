#include "tools/load/reply.h"

#include <cstdint>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/impl/codegen/proto_utils.h"

namespace qkserve {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr uint32_t kReceiptTag = static_cast<uint32_t>(v1::ScoreResponse::kReceiptFieldNumber)
                                     << 3 |
                                 WireFormatLite::WIRETYPE_LENGTH_DELIMITED;

absl::Status NoResponse() { return absl::InternalError("the reply is no ScoreResponse"); }

bool MergeReceipt(google::protobuf::io::CodedInputStream& in, v1::Receipt* receipt) {
  int bytes = 0;
  if (!in.ReadVarintSizeAsInt(&bytes)) return false;
  const auto limit = in.PushLimit(bytes);
  const bool merged = receipt->MergeFromCodedStream(&in) && in.BytesUntilLimit() == 0;
  in.PopLimit(limit);
  return merged;
}

template <typename Message>
absl::StatusOr<Message> Parse(const grpc::ByteBuffer& bytes, const char* problem) {
  Message message;
  grpc::ByteBuffer copy = bytes;  // copies only references; parsing consumes the buffer
  if (!grpc::SerializationTraits<Message>::Deserialize(&copy, &message).ok()) {
    return absl::InternalError(problem);
  }
  return message;
}

}  // namespace

absl::Status ReadReceipt(grpc::ByteBuffer& reply, v1::Receipt* receipt) {
  receipt->Clear();
  grpc::ProtoBufferReader reader(&reply);
  if (!reader.status().ok()) return NoResponse();
  google::protobuf::io::CodedInputStream in(&reader);
  while (const uint32_t tag = in.ReadTag()) {
    // The receipt may come in several parts, which are merged.
    const bool read =
        tag == kReceiptTag ? MergeReceipt(in, receipt) : WireFormatLite::SkipField(&in, tag);
    if (!read) return NoResponse();
  }
  return in.ConsumedEntireMessage() ? absl::OkStatus() : NoResponse();
}

absl::StatusOr<v1::ScoreResponse> ParseReply(const grpc::ByteBuffer& reply) {
  return Parse<v1::ScoreResponse>(reply, "the reply is no ScoreResponse");
}

absl::StatusOr<v1::ScoreRequest> ParseRequest(const grpc::ByteBuffer& request) {
  return Parse<v1::ScoreRequest>(request, "the request is no ScoreRequest");
}

}  // namespace qkserve
