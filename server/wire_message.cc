#include "server/wire_message.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/reflection.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "server/tensor_codec.h"

namespace qkserve {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using Numbers = google::protobuf::MutableRepeatedFieldRef<int64_t>;

// Where a message is within the request.
struct Place {
  const Place* parent = nullptr;           // null: it is the request
  const FieldDescriptor* field = nullptr;  // of the parent
};

std::string NameOf(const Place& place) {
  if (place.parent == nullptr) return "request";
  const std::string name(place.field->name());
  // Fields at the top, and in a header, go by their own names.
  if (place.parent->parent == nullptr || place.parent->field->name() == "header") return name;
  return absl::StrCat(NameOf(*place.parent), ".", name);
}

class WireReader {
 public:
  WireReader(CodedInputStream* in, const Message& request, int bytes)
      : in_(*in),
        type_(*request.GetDescriptor()),
        numbers_max_(std::max<int64_t>(kWireNumbersMax, bytes / 8)) {}

  // Up to the stream's limit.
  absl::Status ReadFields(const Place& place, Message& message) {
    while (in_.BytesUntilLimit() > 0) {
      const int begin = in_.CurrentPosition();
      const uint32_t tag = in_.ReadTagNoLastTag();
      if (tag == 0 || IsTooLong(begin)) return Malformed();
      absl::Status status = ReadField(place, tag, message);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Malformed() const {
    return absl::UnimplementedError(absl::StrCat("the bytes are no ", type_.full_name()));
  }

  // Tags and lengths have at most 5 bytes.
  bool IsTooLong(int begin) const { return in_.CurrentPosition() - begin > 5; }

  absl::Status CountField() {
    if (++fields_ <= kWireFieldsMax) return absl::OkStatus();
    return Invalid("request", absl::StrCat("more than ", kWireFieldsMax, " fields"), "each once");
  }

  absl::Status ReadField(const Place& place, uint32_t tag, Message& message) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const WireFormatLite::WireType type = WireFormatLite::GetTagWireType(tag);
    if (number == 0 || type == WireFormatLite::WIRETYPE_END_GROUP ||
        type > WireFormatLite::WIRETYPE_FIXED32) {
      return Malformed();
    }
    const FieldDescriptor* const field = message.GetDescriptor()->FindFieldByNumber(number);
    if (field != nullptr && field->is_repeated()) {
      // All repeated fields of requests are int64.
      Numbers numbers =
          message.GetReflection()->GetMutableRepeatedFieldRef<int64_t>(&message, field);
      const int64_t max = NumbersMax(*field);
      if (type == WireFormatLite::WIRETYPE_VARINT) {
        return ReadNumber({&place, field}, max, numbers);
      }
      if (type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        return ReadNumbers({&place, field}, max, numbers);
      }
    } else if (field != nullptr &&
               type == WireFormatLite::WireTypeForFieldType(
                           static_cast<WireFormatLite::FieldType>(field->type()))) {
      absl::Status status = CountField();
      return status.ok() ? ReadSingle({&place, field}, message) : status;
    }
    // An option that is ignored changes the answer silently; a newer client must hear of it.
    return absl::InvalidArgumentError(absl::StrCat(NameOf(place), ": got field number ", number,
                                                   ", which this server does not know"));
  }

  absl::Status ReadSingle(const Place& place, Message& message) {
    const FieldDescriptor* const field = place.field;
    const Reflection& fields = *message.GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return ReadNested(place, *fields.MutableMessage(&message, field));
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) return ReadBytes(place, message);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
      uint32_t bits = 0;
      if (!in_.ReadLittleEndian32(&bits)) return Malformed();
      fields.SetFloat(&message, field, WireFormatLite::DecodeFloat(bits));
      return absl::OkStatus();
    }
    uint64_t value = 0;
    if (!in_.ReadVarint64(&value)) return Malformed();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        fields.SetBool(&message, field, value != 0);
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        fields.SetEnumValue(&message, field, static_cast<int32_t>(value));
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        fields.SetInt32(&message, field, static_cast<int32_t>(value));
        break;
      default:
        fields.SetInt64(&message, field, static_cast<int64_t>(value));
    }
    return absl::OkStatus();
  }

  // The length of what follows; -1: it is none, or longer than what there is.
  int ReadLength() {
    const int begin = in_.CurrentPosition();
    int length = 0;
    const bool is_length = in_.ReadVarintSizeAsInt(&length) && !IsTooLong(begin);
    return is_length && length <= in_.BytesUntilLimit() ? length : -1;
  }

  absl::Status ReadNested(const Place& place, Message& message) {
    const int length = ReadLength();
    if (length < 0) return Malformed();
    const CodedInputStream::Limit limit = in_.PushLimit(length);
    absl::Status status = ReadFields(place, message);
    in_.PopLimit(limit);
    return status;
  }

  absl::Status ReadBytes(const Place& place, Message& message) {
    const int length = ReadLength();
    if (length < 0) return Malformed();
    const bool is_text = place.field->type() == FieldDescriptor::TYPE_STRING;
    if (is_text && length > kWireTextBytesMax) {
      return Invalid(NameOf(place), absl::StrCat(length, " bytes"),
                     absl::StrCat("at most ", kWireTextBytesMax));
    }
    std::string value;
    if (!in_.ReadString(&value, length)) return Malformed();
    if (is_text && !IsUtf8(value)) return Malformed();
    message.GetReflection()->SetString(&message, place.field, std::move(value));
    return absl::OkStatus();
  }

  int64_t NumbersMax(const FieldDescriptor& field) const {
    return field.name() == "shape" ? kWireRankMax : numbers_max_;
  }

  absl::Status ReadNumber(const Place& place, int64_t max, Numbers& numbers) {
    if (numbers.size() >= max) {
      const bool is_shape = max == kWireRankMax;
      return Invalid(NameOf(place),
                     absl::StrCat("more than ", max, is_shape ? " sizes" : " numbers"),
                     is_shape ? "at most 4" : "one a batch");
    }
    uint64_t value = 0;
    if (!in_.ReadVarint64(&value)) return Malformed();
    numbers.Add(static_cast<int64_t>(value));
    return absl::OkStatus();
  }

  // Packed.
  absl::Status ReadNumbers(const Place& place, int64_t max, Numbers& numbers) {
    absl::Status status = CountField();
    const int length = ReadLength();
    if (status.ok() && length < 0) status = Malformed();
    if (!status.ok()) return status;
    const CodedInputStream::Limit limit = in_.PushLimit(length);
    while (status.ok() && in_.BytesUntilLimit() > 0) status = ReadNumber(place, max, numbers);
    in_.PopLimit(limit);
    return status;
  }

  CodedInputStream& in_;
  const google::protobuf::Descriptor& type_;
  const int64_t numbers_max_;
  int fields_ = 0;
};

}  // namespace

absl::Status ReadWireMessage(grpc::ByteBuffer* bytes, google::protobuf::Message* message) {
  absl::Status status;
  {
    const int size = static_cast<int>(bytes->Length());
    grpc::ProtoBufferReader slices(bytes);
    CodedInputStream in(&slices);
    in.PushLimit(size);
    try {
      status = WireReader(&in, *message, size).ReadFields(Place(), *message);
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("out of memory for the request");
    }
  }
  bytes->Clear();
  return status;
}

}  // namespace qkserve
