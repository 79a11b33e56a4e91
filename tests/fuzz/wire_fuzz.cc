#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/key_sets/key_set_store.h"
#include "google/protobuf/message.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "qkserve/client.h"
#include "qkserve/limits.h"
#include "qkserve/v1/key_set.pb.h"
#include "qkserve/v1/scoring.pb.h"
#include "qkserve/v1/status.pb.h"
#include "server/access/permitted_key_sets.h"
#include "server/rpc/key_set_codec.h"
#include "server/rpc/v1_score.h"
#include "server/rpc/wire_message.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/full_score_request.h"
#include "tests/support/random_tensor.h"
#include "tests/support/wire_bytes.h"

namespace qkserve {
namespace {

using google::protobuf::Message;

// An input is three bytes (the type, the form and the size of slices), then the message.
enum Form { kPlain, kCompressedHere, kMarkedAsCompressed, kForms };

const Message* const kRequests[] = {
    &v1::ScoreRequest::default_instance(),
    &v1::PutKeySetRequest::default_instance(),
    &v1::AppendKeySetRequest::default_instance(),
    &v1::GetKeySetRequest::default_instance(),
    &v1::ListKeySetsRequest::default_instance(),
    &v1::DeleteKeySetRequest::default_instance(),
    &v1::GetStatusRequest::default_instance(),
    &grpc::health::v1::HealthCheckRequest::default_instance(),
    &grpc::reflection::v1::ServerReflectionRequest::default_instance(),
};
constexpr int kRequestCount = std::size(kRequests);

std::vector<WireField> AllFields() {
  std::vector<WireField> fields;
  for (const Message* const type : kRequests) {
    fields.push_back(WireField::Request(*type->GetDescriptor()));
  }
  return fields;
}

std::string Seed(int type, Form form, const Message& message) {
  std::string bytes = {static_cast<char>(type), static_cast<char>(form), 40};
  bytes += form == kMarkedAsCompressed ? Deflated(message.SerializeAsString(), kDeflate)
                                       : message.SerializeAsString();
  return bytes;
}

void CheckView(const TensorView& view, const std::string& data) {
  Require(ByteCount(view.shape, ElementBytes(view.data_type)) == static_cast<int64_t>(data.size()),
          "a tensor has the bytes of its shape");
  Require(view.data == reinterpret_cast<const std::byte*>(data.data()),
          "a tensor points into its request");
}

void DecodeScore(const v1::ScoreRequest& request) {
  const absl::StatusOr<ScoreCall> call = DecodeScoreCall(request);
  if (!call.ok()) return;
  const v1::InlineKeys& keys = request.inline_();
  if (call->errors.queries.ok()) CheckView(call->problem.queries, request.queries().data());
  if (keys.has_keys() && call->errors.keys.ok()) {
    CheckView(call->problem.keys, keys.keys().data());
  }
  if (keys.has_values() && call->errors.values.ok()) {
    CheckView(*call->problem.values, keys.values().data());
  }
  if (request.attention().has_mask() && call->errors.mask.ok()) {
    CheckView(*call->problem.mask, request.attention().mask().data());
  }
}

void Decode(const Message& message) {
  static const KeySetStore* const store = KeySetStore::Open({}, nullptr).value().release();
  const PermittedKeySets none(store, nullptr);
  if (message.GetDescriptor() == v1::ScoreRequest::descriptor()) {
    DecodeScore(static_cast<const v1::ScoreRequest&>(message));
  } else if (message.GetDescriptor() == v1::PutKeySetRequest::descriptor()) {
    (void)DecodeHeader(static_cast<const v1::PutKeySetRequest&>(message).header(), none);
  } else if (message.GetDescriptor() == v1::AppendKeySetRequest::descriptor()) {
    (void)DecodeHeader(static_cast<const v1::AppendKeySetRequest&>(message).header(), none);
  }
}

// `got` and `status` are the reader's result for `bytes`.
void CompareWithGeneratedParser(absl::string_view bytes, const Message& got,
                                const absl::Status& status) {
#if GOOGLE_PROTOBUF_VERSION < 4000000
  static const google::protobuf::LogSilencer silencer;  // texts that are not UTF-8
#endif
  const std::unique_ptr<Message> expected(got.New());
  const bool parses = expected->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  if (!parses || HasUnknownFields(*expected)) {
    return Require(!status.ok(), "what is no such message is refused");
  }
  // The reader's limits refuse some messages that parse. The reader also refuses a message if it
  // has an unknown field in a part that another field of its oneof replaced.
  if (!status.ok()) return Require(absl::IsInvalidArgument(status), "the refusal names a limit");
  Require(got.SerializeAsString() == expected->SerializeAsString(), "both parsers read the same");
}

}  // namespace

void FuzzWire(absl::string_view input) {
  FuzzInput in(input);
  const int type = in.Below(kRequestCount);
  const auto form = static_cast<Form>(in.Below(kForms));
  const size_t slice = 1 + size_t{in.Byte()};
  const absl::string_view bytes = in.Rest();
  grpc::ByteBuffer buffer =
      form == kPlain
          ? WireBytes(bytes, slice)
          : CompressedWireBytes(
                form == kCompressedHere ? Deflated(bytes, kGzip) : std::string(bytes), slice);
  static const std::vector<WireField>& fields = *new std::vector<WireField>(AllFields());
  const std::unique_ptr<Message> got(kRequests[type]->New());
  ByteBudget budget("in_flight_bytes_max", 4 * kMiB);
  size_t size = 0;
  const absl::Status status =
      ReadWireMessage(fields[static_cast<size_t>(type)], {.bytes_max = kMiB, .budget = &budget},
                      &buffer, got.get(), &size);
  Require(budget.bytes() == 0, "a message that was read is charged no more");
  if (form != kMarkedAsCompressed) CompareWithGeneratedParser(bytes, *got, status);
  if (status.ok()) Decode(*got);
}

FuzzSeeds WireSeeds() {
  const Tensor q = RandomTensor(DataType::kFloat32, {2, 1, 3}, 1);
  const v1::ScoreRequest score = FullScoreRequest();
  v1::PutKeySetRequest put;
  put.mutable_header()->set_name("items");
  put.mutable_header()->mutable_keys()->add_shape(3);
  put.mutable_header()->mutable_values()->add_shape(3);
  put.mutable_header()->set_storage(v1::FLOAT16);
  v1::AppendKeySetRequest append;
  append.mutable_chunk()->set_values("abcd");
  v1::ListKeySetsRequest list;
  list.set_page_size(-5);
  list.set_page_token("items");
  return {
      {"score", Seed(0, kPlain, score)},
      {"score-compressed", Seed(0, kCompressedHere, score)},
      {"score-deflated", Seed(0, kMarkedAsCompressed, score)},
      {"on-key-set", Seed(0, kPlain, MakeScoreRequest(q.View(), KeySetReference{"items", 7}, {}))},
      {"put", Seed(1, kPlain, put)},
      {"append", Seed(2, kPlain, append)},
      {"list", Seed(4, kPlain, list)},
      {"status", Seed(6, kPlain, v1::GetStatusRequest())},
  };
}

}  // namespace qkserve
