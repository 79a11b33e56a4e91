#ifndef QKSERVE_TESTS_SUPPORT_SCORING_DOUBLE_H_
#define QKSERVE_TESTS_SUPPORT_SCORING_DOUBLE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "qkserve/v1/scoring.grpc.pb.h"

namespace qkserve {

// A server on a free port of this host. The test decides each answer and its delay. No thread waits
// during the delay.
class ScoringDouble {
 public:
  struct Answer {
    grpc::Status status;
    v1::ScoreResponse response;
    absl::Duration delay;
  };
  // Decides how to answer a request. Called from several threads.
  using Behaviour = std::function<Answer(const v1::ScoreRequest&)>;

  // Without credentials the server speaks no TLS.
  explicit ScoringDouble(Behaviour behaviour,
                         std::shared_ptr<grpc::ServerCredentials> credentials = nullptr);
  ~ScoringDouble();

  // "127.0.0.1:PORT".
  const std::string& address() const { return address_; }

 private:
  class Service;

  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// Answers at once, except in the first `stall` of each `period`. Requests that come in this time
// are answered at its end.
ScoringDouble::Behaviour Stalling(absl::Duration stall, absl::Duration period);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_SCORING_DOUBLE_H_
