// The metadata "qkserve-key-set" routes calls in proxies. It must agree with the message.

#include <string>
#include <utility>
#include <vector>

#include "server/rpc/key_set_codec.h"
#include "tests/server/key_set_server_test.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;

class KeySetMetadataTest : public KeySetServerTest {
 protected:
  using Metadata = std::vector<std::string>;

  void SetUp() override {
    Start();
    version_ = Put("items", {4, 2}, 1).version;
  }

  // Makes the call `fn(context)`. Each of `metadata` is a value of qkserve-key-set.
  template <class Fn>
  static absl::Status With(const Metadata& metadata, const Fn& fn) {
    grpc::ClientContext context;
    for (const std::string& value : metadata) context.AddMetadata("qkserve-key-set", value);
    return FromGrpcStatus(fn(context));
  }

  template <class Request, class Writer>
  static grpc::Status Upload(const Request& header, Writer writer) {
    Request chunk;
    chunk.mutable_chunk()->set_keys(std::string(8, '\0'));
    if (writer->Write(header)) writer->Write(chunk);
    writer->WritesDone();
    return writer->Finish();
  }

  template <class Request>
  static Request Header() {
    Request request;
    request.mutable_header()->set_name("items");
    request.mutable_header()->mutable_keys()->set_data_type(v1::FLOAT32);
    request.mutable_header()->mutable_keys()->add_shape(1);
    request.mutable_header()->mutable_keys()->add_shape(2);
    return request;
  }

  absl::Status PutWith(const Metadata& metadata) const {
    return With(metadata, [&](grpc::ClientContext& context) {
      v1::PutKeySetResponse response;
      return Upload(Header<v1::PutKeySetRequest>(), KeySets()->PutKeySet(&context, &response));
    });
  }
  absl::Status AppendWith(const Metadata& metadata) const {
    return With(metadata, [&](grpc::ClientContext& context) {
      v1::AppendKeySetResponse response;
      auto header = Header<v1::AppendKeySetRequest>();
      header.mutable_header()->set_expected_version(client_->GetKeySet("items")->version);
      return Upload(header, KeySets()->AppendKeySet(&context, &response));
    });
  }
  absl::Status GetWith(const Metadata& metadata) const {
    return With(metadata, [&](grpc::ClientContext& context) {
      v1::GetKeySetRequest request;
      request.set_name("items");
      v1::GetKeySetResponse response;
      return KeySets()->GetKeySet(&context, request, &response);
    });
  }
  absl::Status DeleteWith(const Metadata& metadata) const {
    return With(metadata, [&](grpc::ClientContext& context) {
      v1::DeleteKeySetRequest request;
      request.set_name("items");
      v1::DeleteKeySetResponse response;
      return KeySets()->DeleteKeySet(&context, request, &response);
    });
  }
  absl::Status ScoreWith(const Metadata& metadata, const v1::ScoreRequest& request) const {
    return With(metadata, [&](grpc::ClientContext& context) {
      const auto stub = v1::ScoringService::NewStub(ChannelTo(server_->address()));
      v1::ScoreResponse response;
      return stub->Score(&context, request, &response);
    });
  }
  v1::ScoreRequest Request() const {
    const Tensor q = Floats({1, 2}, 1);
    return MakeScoreRequest(q.View(), KeySetReference{"items"}, {});
  }

  int64_t version_ = 0;
};

TEST_F(KeySetMetadataTest, ThatAgreesOrIsAbsentIsFine) {
  for (const Metadata& metadata : {Metadata{}, Metadata{"items"}, Metadata{"items", "items"}}) {
    EXPECT_TRUE(ScoreWith(metadata, Request()).ok());
    EXPECT_TRUE(AppendWith(metadata).ok());
    EXPECT_TRUE(GetWith(metadata).ok());
    EXPECT_TRUE(DeleteWith(metadata).ok());
    EXPECT_TRUE(PutWith(metadata).ok());
  }
}

TEST_F(KeySetMetadataTest, ThatDisagreesIsRefusedAndNothingHappens) {
  for (const Metadata& metadata :
       {Metadata{"other"}, Metadata{"items", "other"}, Metadata{""}, Metadata{"ITEMS"}}) {
    for (const absl::Status& status :
         {ScoreWith(metadata, Request()), AppendWith(metadata), GetWith(metadata),
          DeleteWith(metadata), PutWith(metadata)}) {
      EXPECT_THAT(status, FailsWith(kInvalidArgument, "metadata qkserve-key-set: got '" +
                                                          metadata.back() + "', expected 'items'"));
    }
  }
  EXPECT_EQ(client_->GetKeySet("items")->version, version_);
}

TEST_F(KeySetMetadataTest, OfARequestWithInlineKeysDisagrees) {
  const Tensor q = Floats({1, 2}, 1);
  EXPECT_THAT(ScoreWith({"items"}, MakeScoreRequest(q.View(), q.View(), {})),
              FailsWith(kInvalidArgument, "metadata qkserve-key-set"));
}

}  // namespace
}  // namespace qkserve
