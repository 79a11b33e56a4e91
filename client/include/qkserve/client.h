#ifndef QKSERVE_CLIENT_H_
#define QKSERVE_CLIENT_H_

#include <qkserve/key_set.h>
#include <qkserve/limits.h>
#include <qkserve/output.h>
#include <qkserve/tensor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "qkserve/v1/key_set.grpc.pb.h"
#include "qkserve/v1/scoring.grpc.pb.h"
#include "qkserve/v1/status.grpc.pb.h"

namespace qkserve {

// TLS. Files hold PEM and are read once, when the client is made.
struct TlsOptions {
  // Certificates of the authorities that may sign the server's. Empty: those of the system.
  std::string ca_file = {};

  // The client's own certificate, with those between it and its authority behind it, and its key
  // without a pass phrase: for servers that want to know the client. Both or neither.
  std::string cert_file = {};
  std::string key_file = {};

  // The name that the server's certificate must be for, also sent as authority. Empty: the host of
  // the address.
  std::string server_name = {};
};

struct ClientOptions {
  // HOST:PORT, or any gRPC target. If it has several addresses, calls use them in turn.
  std::string address = "127.0.0.1:50051";

  // Connections, which calls use in turn. One connection carries about as much as one core can
  // send.
  int channels = 1;

  // Largest message, each way.
  int64_t message_bytes_max = kMessageBytesMax;

  // Unless set, connections are not encrypted, and neither side proves its identity.
  std::optional<TlsOptions> tls = std::nullopt;

  // [http://][USER:PASSWORD@]HOST:PORT of an HTTP proxy that is asked to CONNECT to the address.
  // Empty: none; the variables http_proxy, https_proxy and grpc_proxy of the environment are never
  // read. Hosts in the variables no_grpc_proxy or no_proxy are reached without the proxy.
  std::string http_proxy = {};
};

// The computation; meanings and limits are those of qkserve.v1.Attention and ScoreRequest. Members
// that are not set keep the server's default.
struct ScoreOptions {
  std::optional<float> scale = std::nullopt;
  std::optional<float> softcap = std::nullopt;
  bool is_causal = false;
  std::optional<int64_t> window_left = std::nullopt;
  std::optional<int64_t> window_right = std::nullopt;
  std::optional<int64_t> offset = std::nullopt;
  std::vector<int64_t> key_lengths = {};
  std::optional<TensorView> mask = std::nullopt;    // bool or float
  std::optional<TensorView> values = std::nullopt;  // [.., m, dv]; with inline keys only

  Output output = Output::kScores;
  DataType result_type = DataType::kFloat32;
  int64_t top_k = 0;         // for kTopK
  bool log_sum_exp = false;  // for kWeights and kContext

  // The call fails with DEADLINE_EXCEEDED when this has passed. Must be positive.
  absl::Duration timeout = absl::Seconds(60);
};

// How a request was answered; see qkserve.v1.Receipt.
struct Receipt {
  absl::Duration queued;
  absl::Duration computed;
  int64_t batch_requests = 0;
  int64_t batch_rows = 0;
  std::string kernel;
  int64_t key_set_version = 0;  // 0: inline keys
};

struct ScoreResult {
  Tensor result;                      // [.., n, m], [.., n, dv] or [.., n, top_k]
  std::optional<Tensor> indices;      // int32 [.., n, top_k], for kTopK
  std::optional<Tensor> log_sum_exp;  // float32 [.., n], where asked for
  Receipt receipt;
};

// A connection to a qkserve server. Thread-safe; calls block the caller.
//
// Errors are the server's (proto/qkserve/v1/*.proto list them) and gRPC's own: UNAVAILABLE
// if no server answers, DEADLINE_EXCEEDED after the timeout. INTERNAL: the reply is not what was
// asked for.
class Client {
 public:
  // The services of one connection. Tests put mocks here.
  struct Stubs {
    std::unique_ptr<v1::ScoringService::StubInterface> scoring;
    std::unique_ptr<v1::StatusService::StubInterface> status;
    std::unique_ptr<v1::KeySetService::StubInterface> key_sets;
  };

  // Connects lazily: a server that is down shows at the first call.
  // INVALID_ARGUMENT: an option is out of range; a file of TlsOptions holds no certificate or key,
  // or they do not belong together. NOT_FOUND and the like: such a file cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const ClientOptions& options);

  // One element a connection, at least one. `http_proxy` is named in errors of the connection.
  explicit Client(std::vector<Stubs> stubs, std::string http_proxy = "");

  // queries [.., n, d], keys [.., m, d]; shapes as in qkserve.v1.ScoreRequest.
  absl::StatusOr<ScoreResult> Score(const TensorView& queries, const TensorView& keys,
                                    const ScoreOptions& options = {});

  // The same against keys, and values, that are on the server.
  absl::StatusOr<ScoreResult> Score(const TensorView& queries, const KeySetReference& key_set,
                                    const ScoreOptions& options = {});

  // The same for a request that is built already, for callers that send one request many times.
  absl::StatusOr<v1::ScoreResponse> Score(const v1::ScoreRequest& request, absl::Duration timeout);

  // Makes or replaces a key set of `keys` [.., m, d], and returns it. After an error the previous
  // version stays. But after UNAVAILABLE, DEADLINE_EXCEEDED and other errors of the connection the
  // change may have happened: GetKeySet tells.
  absl::StatusOr<KeySetInfo> PutKeySet(const std::string& name, const TensorSource& keys,
                                       const PutKeySetOptions& options = {});

  // Adds `keys` [.., m, d] behind the last one, and returns the key set. FAILED_PRECONDITION: it is
  // not at `expected_version`; so a retry never appends twice.
  absl::StatusOr<KeySetInfo> AppendKeySet(const std::string& name, int64_t expected_version,
                                          const TensorSource& keys,
                                          const AppendKeySetOptions& options = {});

  // The newest version of a key set. NOT_FOUND: there is none of this name.
  absl::StatusOr<KeySetInfo> GetKeySet(const std::string& name,
                                       absl::Duration timeout = absl::Seconds(60));

  // All of them, in order of names; `timeout` is for the pages together.
  absl::StatusOr<std::vector<KeySetInfo>> ListKeySets(absl::Duration timeout = absl::Seconds(60));

  // Deletes a key set. Requests that run on it finish. NOT_FOUND: there is none of this name.
  absl::Status DeleteKeySet(const std::string& name, absl::Duration timeout = absl::Seconds(60));

  // The state of the server: version, kernels, load, memory.
  absl::StatusOr<v1::GetStatusResponse> GetStatus(absl::Duration timeout = absl::Seconds(5));

 private:
  const Stubs& NextStubs();
  absl::Status ToStatus(const grpc::Status& status) const;
  // Sends a put or append, the call that `begin` begins. `request` has what only one of them has.
  template <typename Request, typename Response, typename Options>
  absl::StatusOr<KeySetInfo> Upload(
      std::unique_ptr<grpc::ClientWriterInterface<Request>> (
          v1::KeySetService::StubInterface::*begin)(grpc::ClientContext*, Response*),
      const std::string& name, const TensorSource& keys, const Options& options, Request request);

  const std::vector<Stubs> stubs_;
  const std::string http_proxy_;
  std::atomic<uint64_t> next_{0};
};

// The messages that Client::Score sends.
v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const TensorView& keys,
                                  const ScoreOptions& options);
v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const KeySetReference& key_set,
                                  const ScoreOptions& options);

Receipt ReceiptFromProto(const v1::Receipt& receipt);

// The same code, which has the same number in gRPC and Abseil, and the message. If a TLS handshake
// failed, the message first says what that means, then gRPC's words.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_H_
