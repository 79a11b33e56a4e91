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
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"

namespace qkserve {

// Requests as they come off the wire.
//
// Generated parsers keep fields that they do not know, at 20 to 30 times their bytes, and numbers
// at 8 to 16 times: a message of 200 MB took 6 GB and 20 s. A message is therefore checked first,
// where its bytes lie, and is refused at the offending field. A message that has passed takes at
// most three times its bytes and a few MiB while it is parsed.

// Numbers of a repeated field in a request: as many as a key set may have matrices, in 8 MiB. A
// larger request may have one number for each 16 of its bytes. Numbers then take as much memory as
// the request while their list grows, and half of it afterwards.
inline constexpr int64_t kWireNumbersMax = int64_t{1} << 20;

// Sizes of a shape that are read, so that errors can tell the rank; no tensor has more than 4.
inline constexpr int kWireRankMax = 16;

// Bytes of a text field. The longest that means something is a key set's name, 128.
inline constexpr int kWireTextBytesMax = 4096;

// Fields in all, those of messages within included, numbers that are not packed left out. A request
// has at most 30; more only repeat some of them.
inline constexpr int kWireFieldsMax = 1000;

// A field that requests of one type may have, on the wire; the request itself is one, too. Made
// once from the descriptor: descriptors answer too slowly to be asked for each request.
struct WireField {
  // Everything within a request of this type. The type must not contain itself.
  static WireField Request(const google::protobuf::Descriptor& type);

  enum class Kind { kMessage, kNumbers, kText, kOther };

  Kind kind = Kind::kOther;
  int wire_type = -1;             // -1: the message has no field of this number
  std::string name;               // as errors say it
  std::vector<WireField> fields;  // of a message, by their numbers
  int64_t count_max = 0;          // of numbers; 0: as many as the size of the request allows
  size_t index = 0;               // of numbers: among all repeated fields of the request
};

// Reads `bytes`, which it releases, into `message`, an empty one of the type that `request`
// describes. The same as the generated parser, but for the limits above and unknown fields.
//
// INVALID_ARGUMENT: a field is not known, or beyond a limit; names the message by its path.
// UNIMPLEMENTED: the bytes are no such message. RESOURCE_EXHAUSTED: there is no memory for it.
absl::Status ReadWireMessage(const WireField& request, grpc::ByteBuffer* bytes,
                             google::protobuf::Message* message);

// A request of a call, as gRPC hands it over. If `status` is an error, the other members mean
// nothing.
template <class Request>
struct WireMessage {
  absl::Status status;
  size_t bytes = 0;  // on the wire
  Request message;
};

}  // namespace qkserve

namespace grpc {

template <class Request>
class SerializationTraits<qkserve::WireMessage<Request>> {
 public:
  // Never an error: gRPC would answer in its own words, and end a stream as if the client had.
  static Status Deserialize(ByteBuffer* bytes, qkserve::WireMessage<Request>* wire) {
    static const auto& kFields =
        *new qkserve::WireField(qkserve::WireField::Request(*Request::descriptor()));
    wire->bytes = bytes->Length();
    wire->status = qkserve::ReadWireMessage(kFields, bytes, &wire->message);
    return Status::OK;
  }
};

}  // namespace grpc

#endif  // QKSERVE_SERVER_RPC_WIRE_MESSAGE_H_
