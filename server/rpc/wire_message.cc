#include "server/rpc/wire_message.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/reflection.h"
#include "google/protobuf/wire_format.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "server/admission/field_error.h"

namespace qkserve {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::internal::WireFormat;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// A message that is read, and where it is within the request.
struct Place {
  const Place* parent;           // null: it is the request
  const FieldDescriptor* field;  // of the parent
  Message* message;
  // Kept here: looking them up takes a while.
  const Descriptor& type = *message->GetDescriptor();
  const Reflection& fields = *message->GetReflection();
};

std::string NameOf(const Place& place, const FieldDescriptor& field) {
  // Fields at the top, and in a header, go by their own names.
  if (place.parent == nullptr || place.field->name() == "header") return std::string(field.name());
  return absl::StrCat(NameOf(*place.parent, *place.field), ".", field.name());
}

std::string NameOf(const Place& place) {
  return place.parent == nullptr ? "request" : NameOf(*place.parent, *place.field);
}

class WireReader {
 public:
  WireReader(CodedInputStream* in, const Descriptor& type, int bytes)
      : in_(*in), type_(type), numbers_max_(std::max<int64_t>(kWireNumbersMax, bytes / 8)) {}

  // Up to the stream's limit.
  absl::Status ReadFields(const Place& place) {
    return ReadToLimit([this, &place] {
      const int begin = in_.CurrentPosition();
      const uint32_t tag = in_.ReadTagNoLastTag();
      return tag == 0 || IsTooLong(begin) ? Malformed() : ReadField(place, tag);
    });
  }

 private:
  absl::Status ReadToLimit(const auto& read_one) {
    absl::Status status;
    while (status.ok() && in_.BytesUntilLimit() > 0) status = read_one();
    return status;
  }

  // A length, and as many bytes.
  absl::Status ReadDelimited(const auto& read) {
    const int length = ReadLength();
    if (length < 0) return Malformed();
    const CodedInputStream::Limit limit = in_.PushLimit(length);
    absl::Status status = read();
    in_.PopLimit(limit);
    return status;
  }

  absl::Status Malformed() const {
    return absl::UnimplementedError(absl::StrCat("the bytes are no ", type_.full_name()));
  }

  // Tags and lengths have at most 5 bytes.
  bool IsTooLong(int begin) const { return in_.CurrentPosition() - begin > 5; }

  absl::Status CountField() {
    if (++fields_ <= kWireFieldsMax) return absl::OkStatus();
    return FieldError("request", absl::StrCat("more than ", kWireFieldsMax, " fields"),
                      "each once");
  }

  absl::Status ReadField(const Place& place, uint32_t tag) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const WireFormatLite::WireType type = WireFormatLite::GetTagWireType(tag);
    if (number == 0 || type == WireFormatLite::WIRETYPE_END_GROUP ||
        type > WireFormatLite::WIRETYPE_FIXED32) {
      return Malformed();
    }
    const FieldDescriptor* const field = place.type.FindFieldByNumber(number);
    if (field != nullptr && field->is_repeated()) {
      if (type == WireFormatLite::WIRETYPE_VARINT) return ReadNumbers(place, *field, false);
      if (type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        return ReadNumbers(place, *field, true);
      }
    } else if (field != nullptr &&
               type == WireFormatLite::WireTypeForFieldType(
                           static_cast<WireFormatLite::FieldType>(field->type()))) {
      RETURN_IF_ERROR(CountField());
      return ReadSingle(place, *field, tag);
    }
    // An option that is ignored changes the answer silently; a newer client must hear of it.
    return absl::InvalidArgumentError(absl::StrCat(NameOf(place), ": got field number ", number,
                                                   ", which this server does not know"));
  }

  absl::Status ReadSingle(const Place& place, const FieldDescriptor& field, uint32_t tag) {
    const FieldDescriptor::CppType type = field.cpp_type();
    if (type == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Place nested = {&place, &field, place.fields.MutableMessage(place.message, &field)};
      return ReadDelimited([&] { return ReadFields(nested); });
    }
    if (type == FieldDescriptor::CPPTYPE_STRING) return ReadBytes(place, field);
    return WireFormat::ParseAndMergeField(tag, &field, place.message, &in_) ? absl::OkStatus()
                                                                            : Malformed();
  }

  // The length of what follows; -1: it is none, or longer than what there is.
  int ReadLength() {
    const int begin = in_.CurrentPosition();
    int length = 0;
    const bool is_length = in_.ReadVarintSizeAsInt(&length) && !IsTooLong(begin);
    return is_length && length <= in_.BytesUntilLimit() ? length : -1;
  }

  absl::Status ReadBytes(const Place& place, const FieldDescriptor& field) {
    const int length = ReadLength();
    if (length < 0) return Malformed();
    const bool is_text = field.type() == FieldDescriptor::TYPE_STRING;
    if (is_text && length > kWireTextBytesMax) {
      return FieldError(NameOf(place, field), absl::StrCat(length, " bytes"),
                        absl::StrCat("at most ", kWireTextBytesMax));
    }
    std::string value;
    value.reserve(static_cast<size_t>(length));
    // ReadString would zero it first.
    for (int left = length; left > 0;) {
      const void* bytes = nullptr;
      int count = 0;
      if (!in_.GetDirectBufferPointer(&bytes, &count)) return Malformed();
      count = std::min(count, left);
      value.append(static_cast<const char*>(bytes), static_cast<size_t>(count));
      in_.Skip(count);
      left -= count;
    }
    if (is_text && !IsUtf8(value)) return Malformed();
    place.fields.SetString(place.message, &field, std::move(value));
    return absl::OkStatus();
  }

  // One, or many that are packed. All repeated fields of requests are int64.
  absl::Status ReadNumbers(const Place& place, const FieldDescriptor& field, bool is_packed) {
    const bool is_shape = field.name() == "shape";
    const int64_t max = is_shape ? kWireRankMax : numbers_max_;
    const auto numbers = place.fields.GetMutableRepeatedFieldRef<int64_t>(place.message, &field);
    int64_t count = numbers.size();
    const auto read_one = [&] {
      uint64_t value = 0;
      if (++count > max) {
        return FieldError(NameOf(place, field),
                          absl::StrCat("more than ", max, is_shape ? " sizes" : " numbers"),
                          is_shape ? "at most 4" : "one a batch");
      }
      if (!in_.ReadVarint64(&value)) return Malformed();
      numbers.Add(static_cast<int64_t>(value));
      return absl::OkStatus();
    };
    if (!is_packed) return read_one();
    RETURN_IF_ERROR(CountField());
    return ReadDelimited([&] { return ReadToLimit(read_one); });
  }

  CodedInputStream& in_;
  const Descriptor& type_;
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
      const Place request = {nullptr, nullptr, message};
      status = WireReader(&in, request.type, size).ReadFields(request);
    } catch (const std::bad_alloc&) {
      status = absl::ResourceExhaustedError("out of memory for the request");
    }
  }
  bytes->Clear();
  return status;
}

}  // namespace qkserve
