#include "server/rpc/wire_message.h"

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpc/grpc.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "server/admission/field_error.h"

namespace qkserve {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Describes a field. `repeated_fields` counts the repeated fields of the request.
WireField Describe(const FieldDescriptor& field, absl::string_view path, size_t& repeated_fields);

std::vector<WireField> DescribeFields(const Descriptor& type, absl::string_view path,
                                      size_t& repeated_fields) {
  std::vector<WireField> fields;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const auto number = static_cast<size_t>(field.number());
    fields.resize(std::max(fields.size(), number + 1));
    fields[number] = Describe(field, path, repeated_fields);
  }
  return fields;
}

WireField Describe(const FieldDescriptor& field, absl::string_view path, size_t& repeated_fields) {
  WireField wire;
  wire.name = absl::StrCat(path, field.name());
  wire.wire_type =
      WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(field.type()));
  if (field.is_repeated()) {
    // All repeated fields of requests are int64.
    wire.kind = WireField::Kind::kNumbers;
    wire.count_max = field.name() == "shape" ? kWireRankMax : 0;
    wire.index = repeated_fields++;
  } else if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
    wire.kind = WireField::Kind::kMessage;
    // Errors name the fields of a header without a path.
    wire.fields =
        DescribeFields(*field.message_type(),
                       wire.name == "header" ? "" : absl::StrCat(wire.name, "."), repeated_fields);
  } else if (field.type() == FieldDescriptor::TYPE_STRING) {
    wire.kind = WireField::Kind::kText;
  }
  return wire;
}

constexpr absl::string_view kNoRequest = "the call ended before its request arrived";

absl::Status MalformedError(const Message& request) {
  return absl::UnimplementedError(
      absl::StrCat("the bytes are no ", request.GetDescriptor()->full_name()));
}

// Checks the bytes of a request without taking memory for them.
class WireChecker {
 public:
  // Errors use the name of `request`.
  WireChecker(CodedInputStream* in, int bytes, const Message& request)
      : in_(*in), request_(request), numbers_max_(std::max<int64_t>(kWireNumbersMax, bytes / 16)) {}

  // Checks the fields of `message` up to the stream's limit.
  absl::Status CheckFields(const WireField& message) {
    while (in_.BytesUntilLimit() > 0) {
      const int begin = in_.CurrentPosition();
      const uint32_t tag = in_.ReadTagNoLastTag();
      if (tag == 0 || IsTooLong(begin)) return Malformed();
      RETURN_IF_ERROR(CheckTagged(message, tag));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Malformed() const { return MalformedError(request_); }

  // True if the tag or length that began at `begin` has more than 5 bytes.
  bool IsTooLong(int begin) const { return in_.CurrentPosition() - begin > 5; }

  absl::Status CheckTagged(const WireField& message, uint32_t tag) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const int type = WireFormatLite::GetTagWireType(tag);
    if (number == 0 || type == WireFormatLite::WIRETYPE_END_GROUP ||
        type > WireFormatLite::WIRETYPE_FIXED32) {
      return Malformed();
    }
    if (static_cast<size_t>(number) < message.fields.size()) {
      const WireField& field = message.fields[static_cast<size_t>(number)];
      const bool is_number = field.kind == WireField::Kind::kNumbers;
      const bool is_packed = is_number && type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
      if (is_packed || type == field.wire_type) {
        return is_number && !is_packed ? CheckNumber(field) : CheckField(field, type);
      }
    }
    // An unknown field is refused. It may be an option of a newer client, and ignoring an option
    // would change the answer silently.
    return absl::InvalidArgumentError(absl::StrCat(message.name, ": got field number ", number,
                                                   ", which this server does not know"));
  }

  absl::Status CheckField(const WireField& field, int type) {
    if (++fields_ > kWireFieldsMax) {
      return FieldError("request", absl::StrCat("more than ", kWireFieldsMax, " fields"),
                        "each once");
    }
    uint64_t value = 0;
    uint32_t half = 0;
    switch (type) {
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        return CheckDelimited(field);
      case WireFormatLite::WIRETYPE_VARINT:
        return in_.ReadVarint64(&value) ? absl::OkStatus() : Malformed();
      case WireFormatLite::WIRETYPE_FIXED64:
        return in_.ReadLittleEndian64(&value) ? absl::OkStatus() : Malformed();
      default:
        return in_.ReadLittleEndian32(&half) ? absl::OkStatus() : Malformed();
    }
  }

  absl::Status CheckDelimited(const WireField& field) {
    const int begin = in_.CurrentPosition();
    int length = 0;
    if (!in_.ReadVarintSizeAsInt(&length) || IsTooLong(begin) || length > in_.BytesUntilLimit()) {
      return Malformed();
    }
    if (field.kind == WireField::Kind::kText) return CheckText(field, length);
    if (field.kind == WireField::Kind::kOther) {
      return in_.Skip(length) ? absl::OkStatus() : Malformed();
    }
    const CodedInputStream::Limit limit = in_.PushLimit(length);
    if (field.kind == WireField::Kind::kMessage) {
      RETURN_IF_ERROR(CheckFields(field));
    } else {
      while (in_.BytesUntilLimit() > 0) RETURN_IF_ERROR(CheckNumber(field));
    }
    in_.PopLimit(limit);
    return absl::OkStatus();
  }

  absl::Status CheckText(const WireField& field, int length) {
    if (length > kWireTextBytesMax) {
      return FieldError(field.name, absl::StrCat(length, " bytes"),
                        absl::StrCat("at most ", kWireTextBytesMax));
    }
    // UTF-8 is checked here, because the generated parser would write a line to stderr about a bad
    // text.
    std::string text;
    return in_.ReadString(&text, length) && IsUtf8(text) ? absl::OkStatus() : Malformed();
  }

  absl::Status CheckNumber(const WireField& field) {
    if (counts_.size() <= field.index) counts_.resize(field.index + 1);
    const bool is_shape = field.count_max > 0;
    const int64_t max = is_shape ? field.count_max : numbers_max_;
    if (++counts_[field.index] > max) {
      return FieldError(field.name,
                        absl::StrCat("more than ", max, is_shape ? " sizes" : " numbers"),
                        is_shape ? "at most 4" : "one a batch");
    }
    uint64_t value = 0;
    return in_.ReadVarint64(&value) ? absl::OkStatus() : Malformed();
  }

  CodedInputStream& in_;
  const Message& request_;
  const int64_t numbers_max_;
  int fields_ = 0;
  // The counts of numbers so far, by WireField::index. If an inner message comes twice, its numbers
  // add up, because the parser merges the two.
  absl::InlinedVector<int64_t, 8> counts_;
};

absl::Status CheckAndParse(const WireField& fields, grpc::ByteBuffer* bytes, Message* message) {
  {
    const int size = static_cast<int>(bytes->Length());
    grpc::ProtoBufferReader slices(bytes);
    CodedInputStream in(&slices);
    in.PushLimit(size);
    RETURN_IF_ERROR(WireChecker(&in, size, *message).CheckFields(fields));
  }
  grpc::ProtoBufferReader slices(bytes);
  return message->ParseFromZeroCopyStream(&slices) ? absl::OkStatus() : MalformedError(*message);
}

}  // namespace

WireField WireField::Request(const Descriptor& type) {
  size_t repeated_fields = 0;
  WireField request;
  request.kind = Kind::kMessage;
  request.name = "request";
  request.fields = DescribeFields(type, "", repeated_fields);
  return request;
}

absl::Status NoRequestStatus(const absl::Status& status, grpc::CallbackServerContext& context) {
  const bool has_no_request = absl::IsCancelled(status) && status.message() == kNoRequest;
  if (!has_no_request || grpc_call_failed_before_recv_message(context.c_call()) != 0) return status;
  return absl::UnimplementedError("the call ended without a whole message, expected one");
}

absl::Status ReadWireMessage(const WireField& request, const InflateLimits& inflate,
                             grpc::ByteBuffer* bytes, Message* message, size_t* size) {
  // `bytes` is not valid if gRPC begins a call that ended before its message came. An empty message
  // is valid.
  if (!bytes->Valid()) return absl::CancelledError(kNoRequest);
  absl::Status status;
  try {
    std::vector<ByteBudget::Charge> charges;  // held until the message is parsed
    status = InflateIfCompressed(inflate, bytes, &charges);
    *size = bytes->Length();
    if (status.ok()) status = CheckAndParse(request, bytes, message);
    bytes->Clear();
  } catch (const std::bad_alloc&) {
    status = absl::ResourceExhaustedError("out of memory for the request");
    bytes->Clear();
  }
  return status;
}

}  // namespace qkserve
