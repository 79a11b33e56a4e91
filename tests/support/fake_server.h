#ifndef QKSERVE_TESTS_SUPPORT_FAKE_SERVER_H_
#define QKSERVE_TESTS_SUPPORT_FAKE_SERVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "grpcpp/server.h"
#include "qkserve/v1/key_set.grpc.pb.h"
#include "qkserve/v1/scoring.grpc.pb.h"

namespace qkserve {

// A fake that stores key sets as the received bytes, for tests of clients. It checks what a client
// can get wrong on the wire. A test can make it fail in ways that are rare on a real server.
class FakeKeySetService : public v1::KeySetService::Service {
 public:
  struct KeySet {
    v1::KeySet info;
    std::string keys, values;
  };

  // The key set `name`, or nullopt.
  std::optional<KeySet> Find(const std::string& name);

  // The size of the largest message of an upload so far, and the values of "qkserve-key-set" in the
  // metadata of calls.
  size_t chunk_bytes_max();
  std::vector<std::string> metadata();

  // Makes uploads fail with `status` once `bytes` bytes of elements have come. The rest is not
  // read.
  void FailUploadsAfter(int64_t bytes, grpc::Status status);

  // Answers the next `calls` calls of GetKeySet and DeleteKeySet with UNAVAILABLE, like a server
  // that is ending.
  void BeUnavailable(int calls);

  // Sets the largest number of key sets in a page of ListKeySets.
  void SetPageSize(int size);

  grpc::Status PutKeySet(grpc::ServerContext* context,
                         grpc::ServerReader<v1::PutKeySetRequest>* reader,
                         v1::PutKeySetResponse* response) override;
  grpc::Status AppendKeySet(grpc::ServerContext* context,
                            grpc::ServerReader<v1::AppendKeySetRequest>* reader,
                            v1::AppendKeySetResponse* response) override;
  grpc::Status GetKeySet(grpc::ServerContext* context, const v1::GetKeySetRequest* request,
                         v1::GetKeySetResponse* response) override;
  grpc::Status ListKeySets(grpc::ServerContext* context, const v1::ListKeySetsRequest* request,
                           v1::ListKeySetsResponse* response) override;
  grpc::Status DeleteKeySet(grpc::ServerContext* context, const v1::DeleteKeySetRequest* request,
                            v1::DeleteKeySetResponse* response) override;

 private:
  template <typename Request>
  grpc::Status Receive(grpc::ServerReader<Request>* reader, typename Request::Header* header,
                       KeySet* received);
  void NoteMetadata(const grpc::ServerContext& context);
  bool IsUnavailable();

  Mutex mutex_;
  std::map<std::string, KeySet> key_sets_ ABSL_GUARDED_BY(mutex_);
  int64_t last_version_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t chunk_bytes_max_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> metadata_ ABSL_GUARDED_BY(mutex_);
  int64_t fail_after_bytes_ ABSL_GUARDED_BY(mutex_) = INT64_MAX;
  grpc::Status failure_ ABSL_GUARDED_BY(mutex_);
  int unavailable_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int page_size_ ABSL_GUARDED_BY(mutex_) = 1000;
};

// Scores float32 [n, d] against key sets of float32 [m, d], for any output. Inline keys are not
// supported.
class FakeScoringService : public v1::ScoringService::Service {
 public:
  explicit FakeScoringService(FakeKeySetService* key_sets) : key_sets_(key_sets) {}

  grpc::Status Score(grpc::ServerContext* context, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override;

 private:
  FakeKeySetService* const key_sets_;
};

// Both services on a free port of this host.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();

  // "127.0.0.1:PORT".
  const std::string& address() const { return address_; }
  FakeKeySetService& key_sets() { return key_sets_; }

 private:
  FakeKeySetService key_sets_;
  FakeScoringService scoring_{&key_sets_};
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_FAKE_SERVER_H_
