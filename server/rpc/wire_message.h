#ifndef QKSERVE_SERVER_RPC_WIRE_MESSAGE_H_
#define QKSERVE_SERVER_RPC_WIRE_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpcpp/impl/serialization_traits.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"
#include "server/rpc/inflate.h"

namespace qkserve {

// Reads requests from the wire.
//
// Generated parsers need 20 to 30 bytes of memory for each byte of unknown fields, and 8 to 16
// bytes for each byte of numbers. A message of 200 MB took 6 GB and 20 s. Therefore a message is
// checked in place before it is parsed, and it is refused at the first bad field. While a message
// that passes is parsed, it takes at most three times its bytes, and a few MiB.

// The most numbers of a repeated field in a request: as many as a key set may have matrices. These
// take 8 MiB. A request of more than 16 MiB may have more: one number for each 16 of its bytes.
// While the list of these numbers grows, it takes as much memory as the request. Afterwards it
// takes half as much.
inline constexpr int64_t kWireNumbersMax = int64_t{1} << 20;

// The most sizes of a shape that are read. A tensor may have at most 4 sizes, but errors tell the
// rank of a shape that has more.
inline constexpr int kWireRankMax = 16;

// The most bytes of a text field. A key set's name, the longest text with a meaning, has at most
// 128.
inline constexpr int kWireTextBytesMax = 4096;

// The most fields of a request. Fields of inner messages count, too. Numbers that are not packed do
// not count. A request needs at most 30 fields. Further fields only repeat these.
inline constexpr int kWireFieldsMax = 1000;

// A field that requests of one type may have on the wire. The request itself is a WireField, too.
// WireFields are made once from the descriptor, because asking descriptors for each request would
// be too slow.
struct WireField {
  // Describes everything in a request of this type. The type must not contain itself.
  static WireField Request(const google::protobuf::Descriptor& type);

  enum class Kind { kMessage, kNumbers, kText, kOther };

  Kind kind = Kind::kOther;
  int wire_type = -1;             // -1: the message has no field of this number
  std::string name;               // the field's name in errors
  std::vector<WireField> fields;  // the fields of a message, by their numbers
  int64_t count_max = 0;          // limit of numbers; 0: as many as the size of the request allows
  size_t index = 0;               // index of numbers among all repeated fields of the request
};

// Reads `bytes`, which may be compressed, into `message`, and releases them. `message` must be
// empty and have the type that `request` describes. The result is the same as the generated
// parser's, except for unknown fields and the limits above. `size` gets the number of bytes, after
// decompression.
//
// INVALID_ARGUMENT: a field is not known, or beyond a limit; the error names the field by its path.
// UNIMPLEMENTED: the bytes are no such message. CANCELLED: there is no message, because the caller
// went or the deadline passed before all of it had arrived. RESOURCE_EXHAUSTED: there is no memory
// for the message, or it is larger than `inflate` allows.
absl::Status ReadWireMessage(const WireField& request, const InflateLimits& inflate,
                             grpc::ByteBuffer* bytes, google::protobuf::Message* message,
                             size_t* size);

// Returns the final status of ReadWireMessage for a call. If no message came, this is CANCELLED if
// the caller has gone, and UNIMPLEMENTED if the caller has ended the call without a message. Any
// other status stays as it is.
absl::Status NoRequestStatus(const absl::Status& status, grpc::CallbackServerContext& context);

// A request as gRPC hands it to a call. If `status` is an error, the other members mean nothing.
template <class Request>
struct WireMessage {
  mutable absl::Status status;  // WireService completes it with NoRequestStatus
  size_t bytes = 0;             // bytes of the message, after decompression
  Request message;
  InflateLimits inflate;  // set before the message comes
};

}  // namespace qkserve

namespace grpc {

template <class Request>
class SerializationTraits<qkserve::WireMessage<Request>> {
 public:
  // Never returns an error, because gRPC would answer in its own words, and would end a stream as
  // if the client had ended it.
  static Status Deserialize(ByteBuffer* bytes, qkserve::WireMessage<Request>* wire) {
    static const auto& kFields =
        *new qkserve::WireField(qkserve::WireField::Request(*Request::descriptor()));
    wire->status =
        qkserve::ReadWireMessage(kFields, wire->inflate, bytes, &wire->message, &wire->bytes);
    return Status::OK;
  }
};

}  // namespace grpc

#endif  // QKSERVE_SERVER_RPC_WIRE_MESSAGE_H_
