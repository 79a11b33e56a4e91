// Key sets when memory is short, uploads break off, servers share a directory, or the server ends.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "qkserve/limits.h"
#include "server/limits.h"
#include "tests/server/key_set_server_test.h"
#include "tests/support/fake_clock.h"

namespace qkserve {
namespace {

using enum absl::StatusCode;

// An upload that the test does step by step.
class OpenUpload {
 public:
  OpenUpload(std::unique_ptr<v1::KeySetService::Stub> stub, const std::string& name,
             const Shape& keys)
      : stub_(std::move(stub)), writer_(stub_->PutKeySet(&context_, &response_)) {
    v1::PutKeySetRequest request;
    request.mutable_header()->set_name(name);
    request.mutable_header()->mutable_keys()->set_data_type(v1::FLOAT32);
    request.mutable_header()->mutable_keys()->mutable_shape()->Assign(keys.begin(), keys.end());
    // The write fails if the server has already refused the upload. End returns the reason.
    writer_->Write(request);
  }
  void Send(int64_t bytes) {
    v1::PutKeySetRequest request;
    request.mutable_chunk()->set_keys(std::string(static_cast<size_t>(bytes), '\0'));
    EXPECT_TRUE(writer_->Write(request));
  }
  void Cancel() { context_.TryCancel(); }
  absl::Status Finish() {
    writer_->WritesDone();
    return End();
  }
  absl::Status End() { return FromGrpcStatus(writer_->Finish()); }

 private:
  std::unique_ptr<v1::KeySetService::Stub> stub_;
  grpc::ClientContext context_;
  v1::PutKeySetResponse response_;
  std::unique_ptr<grpc::ClientWriter<v1::PutKeySetRequest>> writer_;
};

class KeySetLifecycleTest : public KeySetServerTest {
 protected:
  OpenUpload Open(const std::string& name, const Shape& keys) const {
    return OpenUpload(KeySets(), name, keys);
  }
  const TemporaryDirectory directory_{"key_set_lifecycle_test"};
};

TEST_F(KeySetLifecycleTest, OverTheMemoryLimitNothingIsEvicted) {
  options_.key_set_memory = kMiB;
  Start();
  const Shape two_fifths = {1600, 64};
  const int64_t a = Put("a", two_fifths, 1).version;
  const int64_t b = Put("b", two_fifths, 2).version;
  const std::string scores_a = ScoresOf("a", 64);
  const std::string scores_b = ScoresOf("b", 64);
  const auto put = [this](const std::string& name, const Shape& shape) {
    return client_->PutKeySet(name, Floats(shape, 3).View()).status();
  };
  EXPECT_THAT(put("c", two_fifths), FailsWith(kResourceExhausted, "key_set_memory = 1048576"));
  // While a set is replaced, both versions count.
  EXPECT_THAT(put("a", two_fifths), FailsWith(kResourceExhausted, "key_set_memory"));
  EXPECT_THAT(put("a", {16000, 64}), FailsWith(kResourceExhausted, "key_set_memory"));
  EXPECT_THAT(client_->AppendKeySet("a", a, Floats(two_fifths, 3).View()).status(),
              FailsWith(kResourceExhausted, "key_set_memory"));
  EXPECT_EQ(client_->GetKeySet("a")->version, a);
  EXPECT_EQ(client_->GetKeySet("b")->version, b);
  EXPECT_EQ(client_->GetKeySet("c").status().code(), kNotFound);
  EXPECT_EQ(ScoresOf("a", 64), scores_a);
  EXPECT_EQ(ScoresOf("b", 64), scores_b);
  // A refused upload holds no memory, and deleting a set frees its memory.
  ASSERT_TRUE(client_->DeleteKeySet("b").ok());
  EXPECT_TRUE(put("a", two_fifths).ok());
  EXPECT_TRUE(put("c", two_fifths).ok());
}

TEST_F(KeySetLifecycleTest, WhatDoesNotFitAtStartIsListedWithItsProblem) {
  options_.key_set_dir = directory_.Path("sets");
  Start();
  Put("large", {16000, 64}, 1);
  Put("small", {16, 64}, 2);
  options_.key_set_memory = kMiB;
  Start();
  EXPECT_EQ(client_->GetKeySet("large").status().code(), kResourceExhausted);
  EXPECT_TRUE(client_->GetKeySet("small").ok());
  const auto listed = client_->ListKeySets().value();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_THAT(listed[0].problem, testing::HasSubstr("key_set_memory"));
  EXPECT_EQ(listed[1].problem, "");
}

TEST_F(KeySetLifecycleTest, ACancelledUploadLeavesTheOldVersionAndGivesItsMemoryBack) {
  options_.key_set_memory = kMiB;
  Start();
  const int64_t version = Put("a", {100, 64}, 1).version;
  const std::string scores = ScoresOf("a", 64);
  for (int round = 0; round < 20; ++round) {
    auto upload = Open("a", {3000, 64});
    upload.Send(1000);
    const auto fits_another = [this] {
      const absl::Status status = client_->PutKeySet("b", Floats({3000, 64}, 2).View()).status();
      EXPECT_TRUE(status.ok() || status.code() == kResourceExhausted) << status;
      return status.ok() && client_->DeleteKeySet("b").ok();
    };
    ASSERT_TRUE(Eventually([&] { return StatusOf(*client_).key_set_bytes() > 3000 * 64 * 4; }));
    EXPECT_FALSE(fits_another());
    upload.Cancel();
    EXPECT_EQ(upload.End().code(), kCancelled);
    ASSERT_TRUE(Eventually([&] { return server_->IsIdle(); }));
    EXPECT_TRUE(fits_another());
  }
  EXPECT_EQ(client_->GetKeySet("a")->version, version);
  EXPECT_EQ(ScoresOf("a", 64), scores);
}

// The server has all bytes, but the client has not ended its stream.
TEST_F(KeySetLifecycleTest, AnUploadThatIsCancelledBeforeItsEndIsNoUpload) {
  Start();
  const int64_t version = Put("a", {10, 8}, 1).version;
  for (int round = 0; round < 200; ++round) {
    auto upload = Open("a", {10, 8});
    upload.Send(320);
    upload.Cancel();
    EXPECT_EQ(upload.End().code(), kCancelled);
    ASSERT_TRUE(Eventually([&] { return server_->IsIdle(); }));
    ASSERT_EQ(client_->GetKeySet("a")->version, version) << round;
  }
}

TEST_F(KeySetLifecycleTest, ARefusedUploadHoldsNoMemoryWhenItsCallerHearsOfIt) {
  options_.key_set_memory = kMiB;
  Start();
  for (int round = 0; round < 50; ++round) {
    auto upload = Open("a", {3000, 64});
    upload.Send(3000 * 64 * 4);
    upload.Send(1);
    EXPECT_EQ(upload.End().code(), kInvalidArgument);
    const absl::Status status = client_->PutKeySet("b", Floats({3000, 64}, 2).View()).status();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(client_->DeleteKeySet("b").ok());
  }
}

TEST_F(KeySetLifecycleTest, UploadsUnderWayAreBounded) {
  Start();
  std::vector<std::unique_ptr<OpenUpload>> uploads;
  const auto open = [&] {
    uploads.push_back(std::make_unique<OpenUpload>(KeySets(), "a", Shape{1, 1}));
  };
  for (int64_t i = 0; i + 1 < kUploadsMax; ++i) open();
  EXPECT_TRUE(client_->PutKeySet("b", Floats({1, 1}, 1).View()).ok());
  // Each attempt opens another upload, because the server may refuse the last upload while the
  // finished put of "b" still counts.
  absl::Status status;
  ASSERT_TRUE(Eventually([&] {
    open();
    status = client_->PutKeySet("b", Floats({1, 1}, 1).View()).status();
    return !status.ok();
  }));
  EXPECT_THAT(status, FailsWith(kResourceExhausted, "uploads are under way"));
  for (const auto& upload : uploads) {
    upload->Cancel();
    EXPECT_THAT(upload->End().code(), testing::AnyOf(kCancelled, kResourceExhausted));
  }
  ASSERT_TRUE(Eventually([&] { return server_->IsIdle(); }));
  EXPECT_TRUE(client_->PutKeySet("b", Floats({1, 1}, 1).View()).ok());
}

TEST_F(KeySetLifecycleTest, DeletionsUnderWayAreBounded) {
  options_.deletions_max = 0;
  Start();
  EXPECT_THAT(client_->DeleteKeySet("a"),
              FailsWith(kResourceExhausted, "more than 0 deletions are under way"));
}

// --- A directory that servers share -------------------------------------------------------------

TEST_F(KeySetLifecycleTest, AReadOnlyServerRefusesChangesAndFollowsTheWriter) {
  options_.key_set_dir = directory_.Path("sets");
  Start();
  int64_t version = Put("items", {100, 8}, 1).version;
  Put("gone", {1, 8}, 2);

  ServerOptions options = options_;
  options.key_set_dir_read_only = true;
  options.key_set_refresh = absl::Milliseconds(1);
  const std::unique_ptr<Server> server = Server::Start(options).value();
  const std::unique_ptr<Client> reader = ConnectedClient(server->address());
  const Tensor q = Floats({1, 8}, 99);
  const auto follows = [&] {
    return Eventually([&] {
      const auto info = reader->GetKeySet("items");
      return info.ok() && info->version == version;
    });
  };
  const auto scores = [&] {
    const auto result = reader->Score(q.View(), KeySetReference{"items", version});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? Bytes(result->result) : "";
  };
  EXPECT_EQ(reader->ListKeySets()->size(), 2U);
  EXPECT_EQ(scores(), ScoresOf("items", 8));

  const Tensor more = Floats({30, 8}, 3);
  for (const absl::Status& status : {reader->PutKeySet("items", more.View()).status(),
                                     reader->AppendKeySet("items", version, more.View()).status(),
                                     reader->DeleteKeySet("items")}) {
    EXPECT_THAT(status, FailsWith(kFailedPrecondition, "--key_set_dir_read_only"));
  }

  for (int i = 0; i < 5; ++i) {
    version = client_->AppendKeySet("items", version, more.View())->version;
    ASSERT_TRUE(follows());
    EXPECT_EQ(scores(), ScoresOf("items", 8));
  }
  version = Put("items", {20, 8}, 4).version;
  ASSERT_TRUE(follows());
  EXPECT_EQ(scores(), ScoresOf("items", 8));
  ASSERT_TRUE(client_->DeleteKeySet("gone").ok());
  EXPECT_TRUE(Eventually([&] { return reader->GetKeySet("gone").status().code() == kNotFound; }));
}

TEST_F(KeySetLifecycleTest, ADirectoryHasOneWriter) {
  options_.key_set_dir = directory_.Path("sets");
  Start();
  EXPECT_EQ(Server::Start(options_).status().code(), kFailedPrecondition);
  Put("items", {1, 1}, 1);
}

TEST_F(KeySetLifecycleTest, AnUploadThatSendsNothingEndsAndGivesItsMemoryBack) {
  options_.key_set_memory = kMiB;
  FakeClock clock;
  Start(&clock);
  auto idle = Open("idle", {3000, 64});
  ASSERT_TRUE(Eventually([&] { return StatusOf(*client_).key_set_bytes() > 0; }));
  // Advances the clock more than once, because the upload begins to wait for its next message only
  // after it has got its memory.
  ASSERT_TRUE(Eventually([&] {
    clock.Advance(options_.upload_idle_timeout);
    return StatusOf(*client_).key_set_bytes() == 0;
  }));
  EXPECT_THAT(idle.End(), FailsWith(kDeadlineExceeded, "upload_idle_timeout = 1m"));
  Put("items", {3000, 64}, 1);
  EXPECT_EQ(client_->GetKeySet("idle").status().code(), kNotFound);
  server_ = nullptr;  // the server must end before its clock
}

TEST_F(KeySetLifecycleTest, AHeaderThatAsksForMoreThanThereIsIsRefusedAtOnceWithTheWholeSize) {
  options_.key_set_memory = kMiB;
  Start();
  Put("items", {1600, 64}, 1);
  auto upload = Open("large", {3200, 64});
  const absl::Status status = upload.End();
  EXPECT_THAT(status, FailsWith(kResourceExhausted, "key_set_memory = 1048576 are in use"));
  // 50 panels of 64 x 64 floats, and a little more.
  EXPECT_THAT(std::string(status.message()), testing::StartsWith("8197"));
}

// --- The end ------------------------------------------------------------------------------------

TEST_F(KeySetLifecycleTest, ADrainingServerSendsCallersAwayAndFinishesWhatHasBegun) {
  Start();
  const int64_t version = Put("items", {4000, 500}, 1).version;
  Put("other", {1, 2}, 2);
  auto upload = Open("new", {1, 1});
  upload.Send(2);
  ASSERT_TRUE(Eventually([&] { return !server_->IsIdle(); }));
  // About 0.1 s of work for two workers, or 4 s if sanitizers slow them down.
  const Tensor q = Floats({3000, 500}, 3);
  ScoreOptions top;
  top.output = Output::kTopK;
  top.top_k = 1;
  top.timeout = absl::Seconds(120);
  absl::Status scored = absl::UnknownError("");
  std::thread caller(
      [&] { scored = client_->Score(q.View(), KeySetReference{"items"}, top).status(); });
  while (StatusOf(*client_).in_flight_requests() == 0) std::this_thread::yield();

  absl::Status drained = absl::UnknownError("");
  std::thread drain([&] { drained = server_->Drain(); });
  absl::Status status;
  while (status.ok()) status = client_->PutKeySet("other", Floats({1, 2}, 2).View()).status();
  EXPECT_THAT(status, FailsWith(kUnavailable, ""));
  EXPECT_THAT(client_->AppendKeySet("items", version, Floats({1, 500}, 2).View()).status(),
              FailsWith(kUnavailable, ""));
  EXPECT_THAT(client_->DeleteKeySet("items"), FailsWith(kUnavailable, ""));
  upload.Send(2);
  EXPECT_TRUE(upload.Finish().ok());
  caller.join();
  drain.join();
  EXPECT_TRUE(scored.ok()) << scored;
  EXPECT_TRUE(drained.ok()) << drained;
}

TEST_F(KeySetLifecycleTest, AnIdleUploadDoesNotHoldUpTheEnd) {
  options_.upload_idle_timeout = absl::Hours(1);
  options_.drain_timeout = absl::Seconds(1);
  Start();
  auto idle = Open("idle", {1, 1});
  ASSERT_TRUE(Eventually([&] { return !server_->IsIdle(); }));
  EXPECT_TRUE(server_->Drain().ok());
  EXPECT_THAT(idle.End(), FailsWith(kUnavailable, "draining"));
}

}  // namespace
}  // namespace qkserve
