#ifndef QKSERVE_CLIENT_H_
#define QKSERVE_CLIENT_H_

#include <qkserve/caller.h>
#include <qkserve/key_set.h>
#include <qkserve/limits.h>
#include <qkserve/metadata.h>
#include <qkserve/output.h>
#include <qkserve/tensor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "qkserve/v1/key_set.grpc.pb.h"
#include "qkserve/v1/scoring.grpc.pb.h"
#include "qkserve/v1/status.grpc.pb.h"

namespace qkserve {

// TLS. Files hold PEM. They are read once, when the client is made.
struct TlsOptions {
  // Certificates of the authorities that may sign the server's certificate. Empty: those of the
  // system.
  std::string ca_file = {};

  // For servers that want to know the client. cert_file has the client's certificate, followed by
  // those between it and its authority. key_file has its key, without a pass phrase. Set both or
  // neither.
  std::string cert_file = {};
  std::string key_file = {};

  // The name that the server's certificate must be for. It is also sent as authority. Empty: the
  // host of the address.
  std::string server_name = {};
};

struct ClientOptions {
  // HOST:PORT, or HOST for port 50051, or any gRPC target. An IPv6 address stands in brackets:
  // [::1]:50051. If a name or target has several addresses, calls use them in turn.
  std::string address = "127.0.0.1:50051";

  // The number of connections, which calls use in turn. A connection carries about as much as one
  // core can send. A client with one connection makes a second one when it first retries.
  int channels = 1;

  // The largest message in either direction.
  int64_t message_bytes_max = kMessageBytesMax;

  // How often a call is tried, from 1 (never again) to 5. docs/clients.md states the policy:
  // - Score, GetStatus, GetKeySet, ListKeySets and AppendKeySet, which expects a version, are sent
  //   again after UNAVAILABLE and UNKNOWN; every call is, if the server cannot have seen it or
  //   refused it with a time to come again (RESOURCE_EXHAUSTED).
  // - An attempt uses another connection than the one before.
  // - The server says how long to pause. Otherwise pauses begin at 0.1 s and double, and up to half
  //   of a pause is left out at random.
  // - The client's retries have a budget: a tenth of its calls in the last 10 s, and 100 or as many
  //   as calls are in flight.
  // - A call's timeout holds for all attempts together. The last error is returned, with the number
  //   of attempts.
  int attempts_max = 4;

  // Unless set, connections are not encrypted, and neither side proves its identity.
  std::optional<TlsOptions> tls = std::nullopt;

  // A file with the token that every call sends as metadata "authorization: Bearer TOKEN", unless
  // the call's own metadata has another one. It is read again when a second has passed, so a token
  // can be replaced while the client runs. Empty: there is none.
  std::string token_file = {};

  // Lets a token go over a connection without TLS to an address that is not localhost, loopback or
  // a unix socket. Whoever can read the network can then use the token.
  bool allow_plaintext = false;

  // [http://][USER:PASSWORD@]HOST:PORT of an HTTP proxy that is asked to CONNECT to the address.
  // Empty: there is none.
  //
  // The variables http_proxy, https_proxy and grpc_proxy of the environment are never read. Hosts
  // in no_grpc_proxy or no_proxy are reached without the proxy.
  std::string http_proxy = {};

  // A connection is pinged when it has received nothing for this time, so that the loss of a peer
  // that cannot say goodbye is noticed. Infinite: never. qkserve closes connections that are pinged
  // more often than every 5 s (--keepalive_interval_min).
  absl::Duration keepalive_interval = absl::InfiniteDuration();

  // A connection whose ping gets no answer for this time is closed. Its calls end with UNAVAILABLE.
  absl::Duration keepalive_timeout = absl::Seconds(20);

  // Pings also while no call waits for an answer.
  bool keepalive_without_calls = false;
};

// A computation. Meanings and limits are those of qkserve.v1.Attention and ScoreRequest. If a
// member is not set, the server's default holds.
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

  // The tenant that pays for the call, and how urgent the call is to it. "": the server's choice,
  // which is the caller's identity or address.
  std::string tenant = {};
  Priority priority = Priority::kNormal;

  // After this time the call fails with DEADLINE_EXCEEDED. Must be positive.
  absl::Duration timeout = absl::Seconds(60);

  Metadata metadata = {};  // of this call
};

// Tells how a request was answered; see qkserve.v1.Receipt.
struct Receipt {
  absl::Duration queued;
  absl::Duration computed;
  int64_t batch_requests = 0;
  int64_t batch_rows = 0;
  std::string kernel;
  int64_t key_set_version = 0;  // 0: inline keys
};

// Tensors are read with Tensor::Row and Tensor::Elements.
struct ScoreResult {
  Tensor result;                      // [.., n, m], [.., n, dv] or [.., n, top_k]; of result_type
  std::optional<Tensor> indices;      // int32 [.., n, top_k], for kTopK
  std::optional<Tensor> log_sum_exp;  // float32 [.., n], if asked for
  Receipt receipt;
};

// Counts since a client was made.
struct RetryCounts {
  int64_t calls = 0;        // that began
  int64_t retries = 0;      // attempts beside the first ones
  int64_t recovered = 0;    // calls that a retry made succeed
  int64_t over_budget = 0;  // calls that failed because the budget of retries was spent
};

// How a client uses stubs that it is given.
struct StubOptions {
  std::string http_proxy = {};  // errors of the connection name it
  int attempts_max = 1;         // as in ClientOptions

  // So many of the last stubs are kept for retries. At least one stub must be left.
  size_t spares = 0;
};

class Retries;
enum class Repeat : int;

// A connection to a qkserve server. Thread-safe. Calls block the caller.
//
// Errors are the server's, which proto/qkserve/v1/*.proto list, and gRPC's own: UNAVAILABLE if no
// server answers, DEADLINE_EXCEEDED after the timeout. INVALID_ARGUMENT, before anything is sent: a
// view of a tensor has not as many bytes as its shape takes, or metadata is not allowed. INTERNAL:
// the reply is not what was asked for.
class Client {
 public:
  // The services of one connection. Tests put doubles here.
  struct Stubs {
    std::unique_ptr<v1::ScoringService::StubInterface> scoring;
    std::unique_ptr<v1::StatusService::StubInterface> status;
    std::unique_ptr<v1::KeySetService::StubInterface> key_sets;
  };

  // Makes a client. It connects at its first call, which fails if the server is down.
  // INVALID_ARGUMENT: an option is out of range, or the address is none, or a file of TlsOptions
  // holds no certificate or key, or they do not belong together, or token_file holds no token, or
  // needs TLS. NOT_FOUND and the like: such a file cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const ClientOptions& options);

  // Uses a channel of your own, with its credentials and arguments. gRPC refuses replies above 4 MB
  // unless the channel was made with GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH. Calls are sent once,
  // unless the channel itself retries.
  explicit Client(const std::shared_ptr<grpc::ChannelInterface>& channel);

  // `stubs` has one element for each connection, at least one.
  explicit Client(std::vector<Stubs> stubs, const StubOptions& options = {});

  ~Client();

  // Scores queries [.., n, d] against keys [.., m, d]. Shapes are as in qkserve.v1.ScoreRequest.
  absl::StatusOr<ScoreResult> Score(const TensorView& queries, const TensorView& keys,
                                    const ScoreOptions& options = {});

  // Scores queries against keys, and values, that are on the server.
  absl::StatusOr<ScoreResult> Score(const TensorView& queries, const KeySetReference& key_set,
                                    const ScoreOptions& options = {});

  // Sends a request that is built already, for callers that send one request many times.
  absl::StatusOr<v1::ScoreResponse> Score(const v1::ScoreRequest& request, absl::Duration timeout,
                                          const Metadata& metadata = {});

  // Makes or replaces a key set of `keys` [.., m, d], and returns it. After an error the previous
  // version stays. After UNAVAILABLE, DEADLINE_EXCEEDED and other errors of the connection,
  // however, the change may have happened: GetKeySet tells.
  absl::StatusOr<KeySetInfo> PutKeySet(const std::string& name, const TensorSource& keys,
                                       const PutKeySetOptions& options = {});

  // Adds `keys` [.., m, d] behind the existing ones, and returns the key set. FAILED_PRECONDITION:
  // the set is not at `expected_version`. So a retry never appends twice. After a retry this error
  // may mean that an earlier attempt appended the keys and its answer was lost; the error says so.
  absl::StatusOr<KeySetInfo> AppendKeySet(const std::string& name, int64_t expected_version,
                                          const TensorSource& keys,
                                          const AppendKeySetOptions& options = {});

  // The newest version of a key set. NOT_FOUND: no set has this name.
  absl::StatusOr<KeySetInfo> GetKeySet(const std::string& name,
                                       absl::Duration timeout = absl::Seconds(60),
                                       const Metadata& metadata = {});

  // All key sets, in order of their names. `timeout` is for all pages together.
  absl::StatusOr<std::vector<KeySetInfo>> ListKeySets(absl::Duration timeout = absl::Seconds(60),
                                                      const Metadata& metadata = {});

  // Deletes a key set. Requests that run on it finish. NOT_FOUND: no set has this name.
  absl::Status DeleteKeySet(const std::string& name, absl::Duration timeout = absl::Seconds(60),
                            const Metadata& metadata = {});

  // The state of the server: version, kernels, load, memory.
  absl::StatusOr<v1::GetStatusResponse> GetStatus(absl::Duration timeout = absl::Seconds(5),
                                                  const Metadata& metadata = {});

  RetryCounts retry_counts() const;

 private:
  // Sends one attempt of a call.
  using Attempt = absl::FunctionRef<grpc::Status(const Stubs&, grpc::ClientContext&)>;

  // Makes attempts until one succeeds or none may follow. Adds deadline and metadata to each.
  absl::Status Call(Repeat repeat, absl::Duration timeout, const std::string& key_set,
                    const Metadata& metadata, Attempt attempt);
  size_t NextStubs();
  size_t StubsForRetry(size_t failed);
  absl::Status ToStatus(const grpc::Status& status) const;
  // Sends a put or append, the call that `begin` begins. `request` has what only one of them has.
  template <typename Request, typename Response, typename Options>
  absl::StatusOr<KeySetInfo> Upload(
      std::unique_ptr<grpc::ClientWriterInterface<Request>> (
          v1::KeySetService::StubInterface::*begin)(grpc::ClientContext*, Response*),
      Repeat repeat, const std::string& name, const TensorSource& keys, const Options& options,
      Request request);

  const std::vector<Stubs> stubs_;
  const size_t spares_;  // the last ones of stubs_
  const std::string http_proxy_;
  const std::unique_ptr<Retries> retries_;
  std::atomic<uint64_t> next_{0};
};

// The message that Client::Score sends. A view with too few or too many bytes for its shape is sent
// as it is: the server refuses it.
v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const TensorView& keys,
                                  const ScoreOptions& options);
v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const KeySetReference& key_set,
                                  const ScoreOptions& options);

Receipt ReceiptFromProto(const v1::Receipt& receipt);

// The same code and message in Abseil's type. If a TLS handshake failed, the message first says
// what that means, then has gRPC's words.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_H_
