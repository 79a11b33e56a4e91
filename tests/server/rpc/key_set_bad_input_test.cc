// Bad input is refused with the right code and the name of the field. The earlier version is still
// served.

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/protobuf/unknown_field_set.h"
#include "qkserve/limits.h"
#include "tests/server/key_set_server_test.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;

void AddUnknownField(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(1000, 1);
}

template <class Request>
Request Chunk(size_t key_bytes, size_t value_bytes = 0) {
  Request request;
  request.mutable_chunk()->set_keys(std::string(key_bytes, '\0'));
  request.mutable_chunk()->set_values(std::string(value_bytes, '\0'));
  return request;
}

// The first message of an upload of float32 keys. If a shape of values is given, it has values,
// too.
template <class Request>
Request Header(const std::string& name, const Shape& keys,
               const std::optional<Shape>& values = std::nullopt) {
  Request request;
  auto& header = *request.mutable_header();
  header.set_name(name);
  header.mutable_keys()->set_data_type(v1::FLOAT32);
  header.mutable_keys()->mutable_shape()->Assign(keys.begin(), keys.end());
  if (values.has_value()) {
    header.mutable_values()->set_data_type(v1::FLOAT32);
    header.mutable_values()->mutable_shape()->Assign(values->begin(), values->end());
  }
  return request;
}

class KeySetBadInputTest : public KeySetServerTest {
 protected:
  using Puts = std::vector<v1::PutKeySetRequest>;
  using Appends = std::vector<v1::AppendKeySetRequest>;

  // Puts "items" of [4, 2] with values [4, 3], and "bare" without values.
  void SetUp() override {
    options_.key_set_memory = 64 * kMiB;
    Start();
    version_ = Put("items", {4, 2}, 1, 3).version;
    Put("bare", {4, 2}, 1);
  }

  // The refused requests have not changed the sets.
  void TearDown() override {
    EXPECT_EQ(client_->GetKeySet("items")->version, version_);
    EXPECT_EQ(client_->ListKeySets()->size(), 2U);
    EXPECT_NE(ScoresOf("items", 2), "");
  }

  template <class Request, class Writer>
  static absl::Status Send(const std::vector<Request>& messages, Writer writer) {
    for (const Request& message : messages) {
      if (!writer->Write(message)) break;  // the server has already refused the upload
    }
    writer->WritesDone();
    return FromGrpcStatus(writer->Finish());
  }
  absl::Status SendPut(const Puts& messages) const {
    grpc::ClientContext context;
    v1::PutKeySetResponse response;
    return Send(messages, KeySets()->PutKeySet(&context, &response));
  }
  absl::Status SendAppend(Appends messages) const {
    for (v1::AppendKeySetRequest& message : messages) {
      if (!message.has_header() || message.header().expected_version() != 0) continue;
      message.mutable_header()->set_expected_version(version_);
    }
    grpc::ClientContext context;
    v1::AppendKeySetResponse response;
    return Send(messages, KeySets()->AppendKeySet(&context, &response));
  }

  static v1::PutKeySetRequest PutHeader(const Shape& keys,
                                        const std::optional<Shape>& values = std::nullopt) {
    return Header<v1::PutKeySetRequest>("new", keys, values);
  }
  static v1::AppendKeySetRequest AppendHeader(const Shape& keys,
                                              const std::optional<Shape>& values) {
    return Header<v1::AppendKeySetRequest>("items", keys, values);
  }
  static v1::PutKeySetRequest PutChunk(size_t keys, size_t values = 0) {
    return Chunk<v1::PutKeySetRequest>(keys, values);
  }

  int64_t version_ = 0;
};

TEST_F(KeySetBadInputTest, Names) {
  for (const std::string& name :
       {std::string(), std::string(".hidden"), std::string(".."), std::string("a/b"),
        std::string("a b"), std::string("caf\xc3\xa9"), std::string("a\n"),
        std::string(129, 'a')}) {
    EXPECT_THAT(SendPut({Header<v1::PutKeySetRequest>(name, {1, 1}), PutChunk(4)}),
                FailsWith(kInvalidArgument, "name: got "))
        << name;
    EXPECT_THAT(SendAppend({Header<v1::AppendKeySetRequest>(name, {1, 1}, {})}),
                FailsWith(kInvalidArgument, "name: got "))
        << name;
  }
  const std::string longest = absl::StrCat("A-z_0.9", std::string(121, 'a'));
  EXPECT_TRUE(SendPut({Header<v1::PutKeySetRequest>(longest, {1, 1}), PutChunk(4)}).ok());
  EXPECT_TRUE(client_->DeleteKeySet(longest).ok());
}

TEST_F(KeySetBadInputTest, UnknownSets) {
  const Tensor tensor = Floats({1, 2}, 1);
  for (const std::string name : {"absent", "", "../items", "."}) {
    EXPECT_EQ(client_->GetKeySet(name).status().code(), kNotFound);
    EXPECT_EQ(client_->DeleteKeySet(name).code(), kNotFound);
    EXPECT_EQ(client_->Score(tensor.View(), KeySetReference{name}).status().code(), kNotFound);
  }
  EXPECT_THAT(client_->AppendKeySet("absent", 1, tensor.View()).status(),
              FailsWith(kNotFound, "absent"));
}

TEST_F(KeySetBadInputTest, ChunksShortOfAndBeyondWhatTheHeaderAnnounced) {
  EXPECT_THAT(
      SendPut({PutHeader({2, 2}), PutChunk(15)}),
      FailsWith(kInvalidArgument, "keys: got 15 bytes of FLOAT32, the header announced 16"));
  EXPECT_THAT(SendPut({PutHeader({2, 2})}), FailsWith(kInvalidArgument, "keys: got 0 bytes"));
  EXPECT_THAT(SendPut({PutHeader({2, 2}), PutChunk(16), PutChunk(1)}),
              FailsWith(kInvalidArgument, "keys: got more than the 16 bytes"));
  const auto with_values = PutHeader({2, 2}, Shape{2, 1});
  EXPECT_THAT(SendPut({with_values, PutChunk(16, 7)}),
              FailsWith(kInvalidArgument, "values: got 7 bytes"));
  EXPECT_THAT(SendPut({with_values, PutChunk(16)}),
              FailsWith(kInvalidArgument, "values: got 0 bytes"));
  EXPECT_THAT(SendPut({with_values, PutChunk(0, 9)}),
              FailsWith(kInvalidArgument, "values: got more than the 8 bytes"));
  EXPECT_THAT(SendPut({PutHeader({2, 2}), PutChunk(16, 1)}),
              FailsWith(kInvalidArgument, "values: got some, the header announced none"));
  const auto append = AppendHeader({1, 2}, Shape{1, 3});
  EXPECT_THAT(SendAppend({append, Chunk<v1::AppendKeySetRequest>(7, 12)}),
              FailsWith(kInvalidArgument, "keys: got 7 bytes"));
  EXPECT_THAT(SendAppend({append, Chunk<v1::AppendKeySetRequest>(8, 13)}),
              FailsWith(kInvalidArgument, "values: got more than the 12 bytes"));
}

TEST_F(KeySetBadInputTest, ElementsTooLargeForTheStorage) {
  const Tensor fine = Floats({4, 2}, 1);
  Tensor large = Floats({4, 2}, 1);
  reinterpret_cast<float*>(large.data.data())[5] = -70000;
  PutKeySetOptions options;
  options.storage = DataType::kFloat16;
  EXPECT_THAT(client_->PutKeySet("items", large.View(), options).status(),
              FailsWith(kInvalidArgument, "keys: got -70000 in matrix 0, row 2, column 1"));
  options.values = large.View();
  EXPECT_THAT(client_->PutKeySet("items", fine.View(), options).status(),
              FailsWith(kInvalidArgument, "values: got -70000 in matrix 0, row 2, column 1"));
  EXPECT_EQ(client_->GetKeySet("items").value().version, version_);

  // The append has another type than the set.
  options.values = std::nullopt;
  const KeySetInfo half = client_->PutKeySet("half", fine.View(), options).value();
  EXPECT_THAT(client_->AppendKeySet("half", half.version, large.View()).status(),
              FailsWith(kInvalidArgument, "at most 65504"));
  EXPECT_EQ(client_->GetKeySet("half").value().version, half.version);
  EXPECT_TRUE(client_->DeleteKeySet("half").ok());
}

TEST_F(KeySetBadInputTest, MessagesOutOfOrder) {
  EXPECT_THAT(SendPut({}), FailsWith(kInvalidArgument, "part: got no message, expected a header"));
  EXPECT_THAT(SendPut({PutChunk(16)}),
              FailsWith(kInvalidArgument, "part: got a chunk, expected the header first"));
  EXPECT_THAT(SendPut({v1::PutKeySetRequest()}), FailsWith(kInvalidArgument, "part: got none"));
  EXPECT_THAT(SendPut({PutHeader({2, 2}), PutChunk(8), PutHeader({2, 2}), PutChunk(8)}),
              FailsWith(kInvalidArgument, "part: got a second header"));
  EXPECT_THAT(SendAppend({}), FailsWith(kInvalidArgument, "part: got no message"));
  EXPECT_THAT(SendAppend({Chunk<v1::AppendKeySetRequest>(8)}),
              FailsWith(kInvalidArgument, "part: got a chunk"));
}

TEST_F(KeySetBadInputTest, ShapesAndTypesOfAPut) {
  EXPECT_THAT(SendPut({PutHeader({4})}), FailsWith(kInvalidArgument, "keys.shape: got rank 1"));
  EXPECT_THAT(SendPut({PutHeader({1, 1, 1, 4, 2})}),
              FailsWith(kInvalidArgument, "keys.shape: got rank 5"));
  EXPECT_THAT(SendPut({PutHeader({-1, 4})}),
              FailsWith(kInvalidArgument, "keys.shape: got [-1, 4]"));
  EXPECT_THAT(SendPut({PutHeader({4, 2}, Shape{3, 2})}),
              FailsWith(kInvalidArgument, "values.shape: got [3, 2]"));
  EXPECT_THAT(SendPut({PutHeader({1, 4, 2}, Shape{4, 2})}),
              FailsWith(kInvalidArgument, "values.shape: got [4, 2]"));
  v1::PutKeySetRequest request = PutHeader({1, 1});
  request.mutable_header()->clear_keys();
  EXPECT_THAT(SendPut({request}), FailsWith(kInvalidArgument, "keys: got none"));
  for (const v1::DataType type : {v1::DATA_TYPE_UNSPECIFIED, v1::BOOL, v1::INT32}) {
    request = PutHeader({1, 1}, Shape{1, 1});
    request.mutable_header()->mutable_keys()->set_data_type(type);
    EXPECT_THAT(SendPut({request}), FailsWith(kInvalidArgument, "keys.data_type: got "));
    request = PutHeader({1, 1}, Shape{1, 1});
    request.mutable_header()->mutable_values()->set_data_type(type);
    EXPECT_THAT(SendPut({request}), FailsWith(kInvalidArgument, "values.data_type: got "));
  }
  request = PutHeader({1, 1});
  request.mutable_header()->set_storage(v1::INT32);
  EXPECT_THAT(SendPut({request}), FailsWith(kInvalidArgument, "storage: got "));
}

TEST_F(KeySetBadInputTest, ShapesOfAnAppend) {
  EXPECT_THAT(SendAppend({AppendHeader({1, 3}, Shape{1, 3})}),
              FailsWith(kInvalidArgument, "keys.shape: got [1, 3]"));
  EXPECT_THAT(SendAppend({AppendHeader({1, 1, 2}, Shape{1, 1, 3})}),
              FailsWith(kInvalidArgument, "keys.shape: got [1, 1, 2]"));
  EXPECT_THAT(SendAppend({AppendHeader({1, 2}, Shape{1, 2})}),
              FailsWith(kInvalidArgument, "values.shape: got [1, 2]"));
  EXPECT_THAT(SendAppend({AppendHeader({1, 2}, std::nullopt)}),
              FailsWith(kInvalidArgument, "values.shape: got none, expected dv = 3"));
  auto bare = Header<v1::AppendKeySetRequest>("bare", {1, 2}, Shape{1, 3});
  bare.mutable_header()->set_expected_version(client_->GetKeySet("bare")->version);
  EXPECT_THAT(SendAppend({bare}), FailsWith(kInvalidArgument, "values.shape: got [1, 3]"));
  grpc::ClientContext context;
  v1::AppendKeySetResponse response;
  EXPECT_THAT(Send(Appends{AppendHeader({1, 2}, Shape{1, 3})},
                   KeySets()->AppendKeySet(&context, &response)),
              FailsWith(kInvalidArgument, "expected_version: got 0"));
}

TEST_F(KeySetBadInputTest, AContextNeedsASetWithValues) {
  ScoreOptions context;
  context.output = Output::kContext;
  EXPECT_THAT(client_->Score(Floats({1, 2}, 1).View(), KeySetReference{"bare"}, context).status(),
              FailsWith(kFailedPrecondition, "key_set: bare has no values"));
}

TEST_F(KeySetBadInputTest, QueriesThatDoNotFitTheSet) {
  EXPECT_THAT(client_->Score(Floats({1, 3}, 1).View(), KeySetReference{"items"}).status(),
              FailsWith(kInvalidArgument, "key set items.shape: got [4, 2]"));
  EXPECT_THAT(client_->Score(Floats({1, 1, 2}, 1).View(), KeySetReference{"items"}).status(),
              FailsWith(kInvalidArgument, "key set items.shape: got "));
}

// The header alone is refused, before anything is allocated.
TEST_F(KeySetBadInputTest, HugeShapesCostNothing) {
  constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();
  constexpr int64_t k31 = int64_t{1} << 31;
  const absl::Time begin = absl::Now();
  for (const Shape& shape :
       {Shape{kInt64Max, 1}, Shape{1, kInt64Max}, Shape{kInt64Max, kInt64Max}, Shape{k31, 1},
        Shape{k31 - 1, k31 - 1}, Shape{k31 - 1, k31 - 1, 0, 1}, Shape{0, k31 - 1, k31 - 1},
        Shape{1 << 21, 1, 0}, Shape{1 << 11, 1 << 11, 1, 1}, Shape{1, k31 - 1},
        Shape{0, (1 << 20) + 1}}) {
    EXPECT_THAT(SendPut({PutHeader(shape)}), FailsWith(kInvalidArgument, "keys.shape: got "));
  }
  EXPECT_THAT(SendPut({PutHeader({1, 1}, Shape{1, kInt64Max})}),
              FailsWith(kInvalidArgument, "values.shape: got "));
  for (const Shape& shape : {Shape{k31 - 1, 1}, Shape{k31 - 1, 1000}, Shape{1 << 20, 1 << 20, 1},
                             Shape{1 << 20, 1, 1 << 20}}) {
    EXPECT_THAT(SendPut({PutHeader(shape)}), FailsWith(kResourceExhausted, "key_set_memory"));
  }
  EXPECT_THAT(SendAppend({AppendHeader({k31 - 1, 2}, Shape{k31 - 1, 3})}),
              FailsWith(kInvalidArgument, "keys.shape: got 2147483647 keys for a set of 4"));
  EXPECT_THAT(SendAppend({AppendHeader({1 << 30, 2}, Shape{1 << 30, 3})}),
              FailsWith(kResourceExhausted, "key_set_memory"));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(KeySetBadInputTest, UnknownFields) {
  v1::PutKeySetRequest put = PutHeader({1, 1});
  AddUnknownField(put);
  EXPECT_THAT(SendPut({put}), FailsWith(kInvalidArgument, "request"));
  put = PutHeader({1, 1});
  AddUnknownField(*put.mutable_header());
  EXPECT_THAT(SendPut({put}), FailsWith(kInvalidArgument, "header"));
  put = PutHeader({1, 1});
  AddUnknownField(*put.mutable_header()->mutable_keys());
  EXPECT_THAT(SendPut({put}), FailsWith(kInvalidArgument, "keys"));
  put = PutChunk(4);
  AddUnknownField(*put.mutable_chunk());
  EXPECT_THAT(SendPut({PutHeader({1, 1}), put}), FailsWith(kInvalidArgument, "chunk"));

  const auto call = [this](auto request, auto response, auto method) {
    AddUnknownField(request);
    grpc::ClientContext context;
    return FromGrpcStatus((KeySets().get()->*method)(&context, request, &response));
  };
  v1::GetKeySetRequest get;
  get.set_name("items");
  v1::DeleteKeySetRequest remove;
  remove.set_name("items");
  using Stub = v1::KeySetService::Stub;
  EXPECT_THAT(call(get, v1::GetKeySetResponse(), &Stub::GetKeySet),
              FailsWith(kInvalidArgument, "request"));
  EXPECT_THAT(call(remove, v1::DeleteKeySetResponse(), &Stub::DeleteKeySet),
              FailsWith(kInvalidArgument, "request"));
  EXPECT_THAT(call(v1::ListKeySetsRequest(), v1::ListKeySetsResponse(), &Stub::ListKeySets),
              FailsWith(kInvalidArgument, "request"));

  const Tensor q = Floats({1, 2}, 1);
  v1::ScoreRequest score = MakeScoreRequest(q.View(), KeySetReference{"items"}, {});
  AddUnknownField(*score.mutable_key_set());
  EXPECT_THAT(client_->Score(score, absl::Seconds(10)).status(),
              FailsWith(kInvalidArgument, "key_set"));
}

TEST_F(KeySetBadInputTest, PageSizes) {
  for (const int size : {-1, 1001}) {
    v1::ListKeySetsRequest request;
    request.set_page_size(size);
    grpc::ClientContext context;
    v1::ListKeySetsResponse response;
    EXPECT_THAT(FromGrpcStatus(KeySets()->ListKeySets(&context, request, &response)),
                FailsWith(kInvalidArgument, absl::StrCat("page_size: got ", size)));
  }
}

}  // namespace
}  // namespace qkserve
