#include "server/rpc/wire_message.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "qkserve/client.h"
#include "qkserve/limits.h"
#include "qkserve/v1/key_set.pb.h"
#include "qkserve/v1/scoring.pb.h"
#include "qkserve/v1/status.pb.h"
#include "tests/support/full_score_request.h"
#include "tests/support/random_tensor.h"
#include "tests/support/wire_bytes.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7) bytes.push_back(static_cast<char>(value | 128));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}
std::string Tag(int number, int type) { return Varint(static_cast<uint64_t>(number << 3 | type)); }
std::string Delimited(int number, absl::string_view bytes) {
  return absl::StrCat(Tag(number, 2), Varint(bytes.size()), bytes);
}
std::string Times(size_t count, absl::string_view bytes) {
  std::string all;
  all.reserve(count * bytes.size());
  for (size_t i = 0; i < count; ++i) all.append(bytes.data(), bytes.size());
  return all;
}

// Reads a message from the bytes, in slices of at most `slice` bytes.
absl::Status Read(absl::string_view bytes, Message& message, size_t slice = 8192) {
  grpc::ByteBuffer buffer = WireBytes(bytes, slice);
  static auto& types = *new std::map<const google::protobuf::Descriptor*, WireField>;
  const google::protobuf::Descriptor* const type = message.GetDescriptor();
  if (!types.contains(type)) types[type] = WireField::Request(*type);
  size_t size = 0;
  return ReadWireMessage(types[type], {}, &buffer, &message, &size);
}

template <class Request>
void ExpectRefused(absl::string_view bytes, absl::string_view text) {
  Request request;
  const absl::Status status = Read(bytes, request);
  EXPECT_EQ(status.code(), kInvalidArgument) << status;
  EXPECT_EQ(status.message(), text);
  // The memory does not grow with the size of the refused message.
  EXPECT_LT(request.SpaceUsedLong(), kMiB) << text;
}

constexpr size_t kMany = 4'000'000;

TEST(WireMessageTest, AnUnknownFieldIsRefusedAtOnceByItsNumberAndTheMessageItIsIn) {
  constexpr absl::string_view kUnknown = "which this server does not know";
  for (const std::string& field :
       {Tag(500, 0) + std::string(1, '\0'), Delimited(500, ""), Tag(500, 3) + Tag(500, 4),
        Tag(500, 1) + std::string(8, '\0'), Tag(500, 5) + std::string(4, '\0')}) {
    const std::string many = Times(kMany / 4, field);
    const auto text = [&](absl::string_view name) {
      return absl::StrCat(name, ": got field number 500, ", kUnknown);
    };
    ExpectRefused<v1::ScoreRequest>(many, text("request"));
    ExpectRefused<v1::ScoreRequest>(Delimited(1, many), text("attention"));
    ExpectRefused<v1::ScoreRequest>(Delimited(1, Delimited(8, many)), text("attention.mask"));
    ExpectRefused<v1::ScoreRequest>(Delimited(8, many), text("queries"));
    ExpectRefused<v1::ScoreRequest>(Delimited(7, many), text("key_set"));
    ExpectRefused<v1::ScoreRequest>(Delimited(9, many), text("inline"));
    ExpectRefused<v1::ScoreRequest>(Delimited(9, Delimited(2, many)), text("inline.values"));
    ExpectRefused<v1::PutKeySetRequest>(many, text("request"));
    ExpectRefused<v1::PutKeySetRequest>(Delimited(1, many), text("header"));
    ExpectRefused<v1::PutKeySetRequest>(Delimited(1, Delimited(2, many)), text("keys"));
    ExpectRefused<v1::PutKeySetRequest>(Delimited(2, many), text("chunk"));
    ExpectRefused<v1::AppendKeySetRequest>(Delimited(1, Delimited(4, many)), text("values"));
    ExpectRefused<v1::GetKeySetRequest>(many, text("request"));
    ExpectRefused<v1::ListKeySetsRequest>(many, text("request"));
    ExpectRefused<v1::DeleteKeySetRequest>(many, text("request"));
    ExpectRefused<v1::GetStatusRequest>(many, text("request"));
  }
  // The number of a known field, but with another wire type.
  ExpectRefused<v1::ScoreRequest>(Tag(8, 0) + std::string(1, '\0'),
                                  absl::StrCat("request: got field number 8, ", kUnknown));
}

TEST(WireMessageTest, AShapeIsReadToItsSixteenthSize) {
  const std::string one(1, '\1');
  for (const std::string& sizes :
       {Delimited(2, std::string(kMany, '\1')), Times(kMany, Tag(2, 0) + one)}) {
    ExpectRefused<v1::ScoreRequest>(Delimited(8, sizes),
                                    "queries.shape: got more than 16 sizes, expected at most 4");
    ExpectRefused<v1::ScoreRequest>(
        Delimited(9, Delimited(1, sizes)),
        "inline.keys.shape: got more than 16 sizes, expected at most 4");
    ExpectRefused<v1::PutKeySetRequest>(Delimited(1, Delimited(3, sizes)),
                                        "values.shape: got more than 16 sizes, expected at most 4");
  }
  // The field comes in two halves, which form one shape.
  const std::string half = Delimited(8, Delimited(2, std::string(8, '\1')));
  v1::ScoreRequest request;
  EXPECT_TRUE(Read(half + half, request).ok());
  EXPECT_EQ(request.queries().shape_size(), 16);
  ExpectRefused<v1::ScoreRequest>(half + half + half,
                                  "queries.shape: got more than 16 sizes, expected at most 4");
}

TEST(WireMessageTest, KeyLengthsAreNoLargerThanTheRequestOr8MiB) {
  const auto lengths = [](int64_t count) {
    return Delimited(1, Delimited(7, std::string(static_cast<size_t>(count), '\1')));
  };
  v1::ScoreRequest request;
  EXPECT_TRUE(Read(lengths(kWireNumbersMax), request).ok());
  EXPECT_EQ(request.attention().key_lengths_size(), kWireNumbersMax);
  for (const std::string& bytes :
       {lengths(kWireNumbersMax + 1), lengths(4 * kWireNumbersMax),
        Delimited(1, Times(kWireNumbersMax + 1, Tag(7, 0) + std::string(1, '\1')))}) {
    request.Clear();
    const absl::Status status = Read(bytes, request);
    EXPECT_EQ(status.message(),
              "attention.key_lengths: got more than 1048576 numbers, expected one a batch");
    EXPECT_LE(request.SpaceUsedLong(), 17 * kMiB);
  }
  // A large request may have one number for every 16 of its bytes.
  request.Clear();
  const std::string data =
      Delimited(8, Delimited(15, std::string(15 * kWireNumbersMax + 16, '\0')));
  EXPECT_TRUE(Read(lengths(kWireNumbersMax + 1) + data, request).ok());
}

TEST(WireMessageTest, TextsAndFieldsAreCounted) {
  ExpectRefused<v1::GetKeySetRequest>(Delimited(1, std::string(kMany, 'a')),
                                      "name: got 4000000 bytes, expected at most 4096");
  ExpectRefused<v1::ScoreRequest>(Delimited(7, Delimited(1, std::string(4097, 'a'))),
                                  "key_set.name: got 4097 bytes, expected at most 4096");
  v1::GetKeySetRequest request;
  EXPECT_TRUE(Read(Delimited(1, std::string(4096, 'a')), request).ok());
  // A field is merged, overwritten, and alternated with another field, a million times.
  for (const std::string& field :
       {Delimited(8, ""), Tag(4, 0) + std::string(1, '\1'), Delimited(7, "") + Delimited(9, ""),
        Delimited(1, Delimited(7, ""))}) {
    ExpectRefused<v1::ScoreRequest>(Times(1'000'000, field),
                                    "request: got more than 1000 fields, expected each once");
  }
}

// With INVALID_ARGUMENT, operators would look for a caller who sends bad requests.
TEST(WireMessageTest, AMessageThatNeverArrivedIsCancelled) {
  v1::ScoreRequest request;
  grpc::ByteBuffer none;
  size_t size = 0;
  EXPECT_TRUE(absl::IsCancelled(
      ReadWireMessage(WireField::Request(*request.GetDescriptor()), {}, &none, &request, &size)));
  EXPECT_TRUE(Read("", request).ok());
}

TEST(WireMessageTest, BytesThatAreNoMessageAreUnimplemented) {
  for (const std::string& bytes :
       {std::string(1000, '\xff'), std::string(1, '\0'), Tag(8, 2) + Varint(5),
        Delimited(8, Delimited(15, "abc").substr(0, 4)), Tag(8, 4), Tag(4, 0),
        Tag(8, 2) + std::string(9, '\xff') + '\1', std::string("\x42\x84\x80\x80\x80\x80\x00", 7),
        Delimited(7, Delimited(1, "\xff")), Delimited(1, Tag(1, 5) + "abc"), Tag(8, 6)}) {
    v1::ScoreRequest request;
    EXPECT_EQ(Read(bytes, request).code(), kUnimplemented);
    EXPECT_EQ(Read(bytes, request).message(), "the bytes are no qkserve.v1.ScoreRequest");
  }
}

TEST(WireMessageTest, Utf8IsTheShortestFormOfCodePoints) {
  for (const absl::string_view text : {"", "abc", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf", "\xc2\x80"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const absl::string_view text :
       {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(text)) << text.size();
  }
}

std::vector<std::unique_ptr<Message>> Seeds() {
  std::vector<std::unique_ptr<Message>> seeds;
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 1, 3}, 1);
  seeds.push_back(std::make_unique<v1::ScoreRequest>(FullScoreRequest()));
  seeds.push_back(std::make_unique<v1::ScoreRequest>(
      MakeScoreRequest(q.View(), KeySetReference{"caf\xc3\xa9", 7}, {})));
  auto put = std::make_unique<v1::PutKeySetRequest>();
  put->mutable_header()->set_name("items");
  put->mutable_header()->mutable_keys()->add_shape(-1);
  put->mutable_header()->mutable_values()->add_shape(3);
  put->mutable_header()->set_storage(v1::FLOAT16);
  seeds.push_back(std::move(put));
  auto append = std::make_unique<v1::AppendKeySetRequest>();
  append->mutable_header()->set_expected_version(int64_t{1} << 40);
  append->mutable_chunk()->set_values("abcd");
  seeds.push_back(std::move(append));
  auto list = std::make_unique<v1::ListKeySetsRequest>();
  list->set_page_size(-5);
  list->set_page_token("items");
  seeds.push_back(std::move(list));
  return seeds;
}

// Collects the type and the types of its fields.
void CollectTypes(const google::protobuf::Descriptor& type,
                  std::set<const google::protobuf::Descriptor*>& types) {
  if (!types.insert(&type).second) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.message_type() != nullptr) CollectTypes(*field.message_type(), types);
  }
}

// The reader has no case for other types. If a new field has another type, add a case first.
TEST(WireMessageTest, ReadsTheTypesOfAllFieldsOfAllRequests) {
  const std::set<FieldDescriptor::Type> singular = {
      FieldDescriptor::TYPE_MESSAGE, FieldDescriptor::TYPE_STRING, FieldDescriptor::TYPE_BYTES,
      FieldDescriptor::TYPE_FLOAT,   FieldDescriptor::TYPE_BOOL,   FieldDescriptor::TYPE_ENUM,
      FieldDescriptor::TYPE_INT32,   FieldDescriptor::TYPE_INT64};
  std::set<const google::protobuf::Descriptor*> types;
  for (const google::protobuf::Descriptor* any :
       {v1::ScoreRequest::descriptor(), v1::PutKeySetRequest::descriptor(),
        v1::GetStatusRequest::descriptor(), grpc::health::v1::HealthCheckRequest::descriptor(),
        grpc::reflection::v1alpha::ServerReflectionRequest::descriptor()}) {
    for (int i = 0; i < any->file()->service_count(); ++i) {
      const google::protobuf::ServiceDescriptor& service = *any->file()->service(i);
      for (int j = 0; j < service.method_count(); ++j) {
        CollectTypes(*service.method(j)->input_type(), types);
      }
    }
  }
  EXPECT_GE(types.size(), 9U);  // one for each method except Watch, and the messages within them
  for (const google::protobuf::Descriptor* type : types) {
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor& field = *type->field(i);
      if (field.is_repeated()) {
        EXPECT_EQ(field.type(), FieldDescriptor::TYPE_INT64) << field.full_name();
      } else {
        EXPECT_TRUE(singular.contains(field.type())) << field.full_name();
      }
    }
  }
}

// Messages have their known fields in any number and order, mixed with random bytes.
TEST(WireMessageTest, ReadsAndRefusesWhatTheGeneratedParserDoes) {
#if GOOGLE_PROTOBUF_VERSION < 4000000
  const google::protobuf::LogSilencer silencer;  // texts that are not UTF-8
#endif
  std::mt19937 random(11);
  const std::vector<std::unique_ptr<Message>> seeds = Seeds();
  int64_t read = 0;
  int64_t malformed = 0;
  int64_t refused = 0;
  for (int i = 0; i < 100000; ++i) {
    const Message& seed = *seeds[random() % seeds.size()];
    const std::string whole = seed.SerializeAsString();
    std::string bytes = whole;
    // If another message follows, it is merged into the first one.
    if (random() % 4 == 0) bytes += whole;
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    for (uint32_t edits = random() % 4; edits > 0 && !bytes.empty(); --edits) {
      const size_t at = random() % bytes.size();
      bytes[at] =
          static_cast<char>(random() % 2 == 0 ? random() : bytes[at] ^ (1U << random() % 8));
    }
    const std::unique_ptr<Message> expected(seed.New());
    const std::unique_ptr<Message> got(seed.New());
    const bool parses = expected->ParseFromString(bytes);
    const absl::Status status = Read(bytes, *got, 1 + random() % 40);
    if (parses && !HasUnknownFields(*expected)) {
      if (!status.ok()) {
        // The message exceeds a limit, or an unknown field was in a part that another field of the
        // same oneof replaced.
        ASSERT_EQ(status.code(), kInvalidArgument) << status << expected->ShortDebugString();
        ++refused;
        continue;
      }
      ASSERT_EQ(got->SerializeAsString(), expected->SerializeAsString());
      ++read;
    } else {
      ASSERT_FALSE(status.ok()) << got->ShortDebugString();
      if (parses) {
        ASSERT_EQ(status.code(), kInvalidArgument) << status;
      } else {
        ++malformed;
      }
    }
  }
  EXPECT_GT(read, 10000);
  EXPECT_GT(malformed, 10000);
  EXPECT_LT(refused, 100);
}

}  // namespace
}  // namespace qkserve
