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

// Options of TLS. The files are in PEM format. They are read once, when the client is made.
struct TlsOptions {
  // Certificates of the authorities that may sign the server's certificate. If empty, the system's
  // authorities are used.
  std::string ca_file = {};

  // The client's identity, for servers that want to know the client. cert_file has the client's
  // certificate, followed by the certificates between it and its authority. key_file has the
  // certificate's key, without a pass phrase. Set both or neither.
  std::string cert_file = {};
  std::string key_file = {};

  // The name for which the server's certificate must be valid. It is also sent as authority. If
  // empty, the host of the address is used.
  std::string server_name = {};
};

struct ClientOptions {
  // HOST:PORT, or HOST for port 50051, or any gRPC target. An IPv6 address stands in brackets:
  // [::1]:50051. If a name or target has several addresses, calls use them in turn.
  std::string address = "127.0.0.1:50051";

  // The number of connections, which calls use in turn. A connection carries about as much as one
  // core can send. A client with one connection makes a second connection for its first retry.
  int channels = 1;

  // The largest message in either direction.
  int64_t message_bytes_max = kMessageBytesMax;

  // The most attempts of a call, from 1 (no retries) to 5. docs/clients.md states the policy:
  // - Score, GetStatus, GetKeySet, ListKeySets and AppendKeySet are sent again after UNAVAILABLE
  //   and UNKNOWN. A repeated append changes nothing, because the call expects a version.
  // - Every call is sent again if the server cannot have seen it, or if the server refused it and
  //   named a time for the retry (RESOURCE_EXHAUSTED).
  // - Each attempt uses another connection than the previous attempt.
  // - If the server says how long to pause, the client pauses that long. Otherwise pauses begin at
  //   0.1 s and double up to 1 s, and each pause is shortened at random by up to a half.
  // - The client's retries have a budget. In any 10 s it allows a tenth of the calls, plus 100 or
  //   the number of calls in flight, whichever is more.
  // - A call's timeout is for all attempts together. The last error is returned, with the number of
  //   attempts.
  int attempts_max = 4;

  // If not set, connections are not encrypted, and neither side proves its identity.
  std::optional<TlsOptions> tls = std::nullopt;

  // A file with the token that every call sends as metadata "authorization: Bearer TOKEN", unless
  // the call's own metadata has an authorization. The token can be replaced while the client runs,
  // because calls read the file again, at most once a second. If empty, no token is sent.
  std::string token_file = {};

  // If true, the token may be sent without TLS to an address that is not localhost, loopback or a
  // unix socket. Anybody who can read the network can then use the token.
  bool allow_plaintext = false;

  // [http://][USER:PASSWORD@]HOST:PORT of an HTTP proxy that is asked to CONNECT to the address. If
  // empty, no proxy is used.
  //
  // The environment variables http_proxy, https_proxy and grpc_proxy are never read. Hosts in the
  // variables no_grpc_proxy or no_proxy are reached without the proxy.
  std::string http_proxy = {};

  // A connection is pinged when it has received nothing for this time, so that the client notices a
  // peer that has vanished without closing the connection. If infinite, there are no pings. qkserve
  // closes connections that are pinged more often than every 5 s (--keepalive_interval_min).
  absl::Duration keepalive_interval = absl::InfiniteDuration();

  // A connection whose ping gets no answer for this time is closed. Its calls end with UNAVAILABLE.
  absl::Duration keepalive_timeout = absl::Seconds(20);

  // If true, connections are pinged even while no call waits for an answer.
  bool keepalive_without_calls = false;
};

// Options of one call of Score. Meanings and limits are those of qkserve.v1.Attention and
// ScoreRequest. If a member is not set, the server's default is used.
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

  // The tenant that pays for the call, and how urgent the call is to the tenant. If `tenant` is
  // empty, the tenant is the caller's identity or address.
  std::string tenant = {};
  Priority priority = Priority::kNormal;

  // After this time the call fails with DEADLINE_EXCEEDED. The timeout must be positive.
  absl::Duration timeout = absl::Seconds(60);

  Metadata metadata = {};  // of this call
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

// The reply to a request. Read its tensors with Tensor::Row and Tensor::Elements.
struct ScoreResult {
  Tensor result;                      // of the output's shape, and of result_type
  std::optional<Tensor> indices;      // int32 [.., n, top_k], for kTopK
  std::optional<Tensor> log_sum_exp;  // float32 [.., n], if asked for
  Receipt receipt;
};

// Counts since a client was made.
struct RetryCounts {
  int64_t calls = 0;        // calls that began
  int64_t retries = 0;      // attempts beside the first ones
  int64_t recovered = 0;    // calls that succeeded after a retry
  int64_t over_budget = 0;  // calls that failed because the budget of retries was spent
};

// Options of a client that is given its stubs.
struct StubOptions {
  std::string http_proxy = {};  // errors of the connection name it
  int attempts_max = 1;         // as in ClientOptions

  // The number of stubs that are kept for retries. They are the last stubs of the vector. At least
  // one stub must not be a spare.
  size_t spares = 0;
};

class Retries;
enum class Repeat : int;

// A client of a qkserve server. Thread-safe. Calls block the caller.
//
// Errors are the server's, which proto/qkserve/v1/*.proto list, and gRPC's own: UNAVAILABLE if no
// server answers, DEADLINE_EXCEEDED after the timeout. A call fails with INVALID_ARGUMENT before
// anything is sent if the bytes of a view do not fit its shape, or if metadata is not allowed. A
// call fails with INTERNAL if the reply is not what was asked for.
class Client {
 public:
  // The services of one connection. Tests put doubles here.
  struct Stubs {
    std::unique_ptr<v1::ScoringService::StubInterface> scoring;
    std::unique_ptr<v1::StatusService::StubInterface> status;
    std::unique_ptr<v1::KeySetService::StubInterface> key_sets;
  };

  // Makes a client. The client connects at its first call, which fails if the server is down.
  // INVALID_ARGUMENT: an option is out of range, the address is malformed, a file of TlsOptions
  // holds no certificate or key, certificate and key do not belong together, token_file holds no
  // token, or token_file needs TLS. NOT_FOUND and other errors of the operating system: a file
  // cannot be read.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const ClientOptions& options);

  // Uses your own channel, with its credentials and arguments. gRPC refuses replies above 4 MB
  // unless the channel was made with GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH. Calls are sent once,
  // unless the channel itself retries.
  explicit Client(const std::shared_ptr<grpc::ChannelInterface>& channel);

  // `stubs` has one element for each connection, at least one.
  explicit Client(std::vector<Stubs> stubs, const StubOptions& options = {});

  ~Client();

  // Scores queries [.., n, d] against keys [.., m, d]. Shapes are as in qkserve.v1.ScoreRequest.
  absl::StatusOr<ScoreResult> Score(const TensorView& queries, const TensorView& keys,
                                    const ScoreOptions& options = {});

  // Scores queries against the keys, and values, of a key set on the server.
  absl::StatusOr<ScoreResult> Score(const TensorView& queries, const KeySetReference& key_set,
                                    const ScoreOptions& options = {});

  // Sends a request that is built already, for callers that send one request many times.
  absl::StatusOr<v1::ScoreResponse> Score(const v1::ScoreRequest& request, absl::Duration timeout,
                                          const Metadata& metadata = {});

  // Makes or replaces a key set of `keys` [.., m, d], and returns its new state. After an error
  // from the server the previous version stays. After an error of the connection, such as
  // UNAVAILABLE or DEADLINE_EXCEEDED, the change may have happened. GetKeySet tells whether it has.
  absl::StatusOr<KeySetInfo> PutKeySet(const std::string& name, const TensorSource& keys,
                                       const PutKeySetOptions& options = {});

  // Adds `keys` [.., m, d] after the existing keys, and returns the new state of the key set.
  // FAILED_PRECONDITION: the set is not at `expected_version`. Because of this check a retry never
  // appends twice. After a retry, the error may mean that an earlier attempt appended the keys and
  // its answer was lost. The message then says so.
  absl::StatusOr<KeySetInfo> AppendKeySet(const std::string& name, int64_t expected_version,
                                          const TensorSource& keys,
                                          const AppendKeySetOptions& options = {});

  // Returns the newest version of a key set. NOT_FOUND: no set has this name.
  absl::StatusOr<KeySetInfo> GetKeySet(const std::string& name,
                                       absl::Duration timeout = absl::Seconds(60),
                                       const Metadata& metadata = {});

  // Returns all key sets, in the order of their names. `timeout` is for all pages together.
  absl::StatusOr<std::vector<KeySetInfo>> ListKeySets(absl::Duration timeout = absl::Seconds(60),
                                                      const Metadata& metadata = {});

  // Deletes a key set. Requests that are running on the set finish. NOT_FOUND: no set has this
  // name.
  absl::Status DeleteKeySet(const std::string& name, absl::Duration timeout = absl::Seconds(60),
                            const Metadata& metadata = {});

  // Returns the state of the server: version, kernels, load and memory.
  absl::StatusOr<v1::GetStatusResponse> GetStatus(absl::Duration timeout = absl::Seconds(5),
                                                  const Metadata& metadata = {});

  RetryCounts retry_counts() const;

 private:
  // Sends one attempt of a call.
  using Attempt = absl::FunctionRef<grpc::Status(const Stubs&, grpc::ClientContext&)>;

  // Makes attempts until one succeeds or no other attempt is allowed. Adds deadline and metadata to
  // each attempt.
  absl::Status Call(Repeat repeat, absl::Duration timeout, const std::string& key_set,
                    const Metadata& metadata, Attempt attempt);
  size_t NextStubs();
  size_t StubsForRetry(size_t failed);
  absl::Status ToStatus(const grpc::Status& status) const;
  // Sends a put or append. `begin` begins the call. `request` already has the header fields that
  // only a put or only an append has.
  template <typename Request, typename Response, typename Options>
  absl::StatusOr<KeySetInfo> Upload(
      std::unique_ptr<grpc::ClientWriterInterface<Request>> (
          v1::KeySetService::StubInterface::*begin)(grpc::ClientContext*, Response*),
      Repeat repeat, const std::string& name, const TensorSource& keys, const Options& options,
      Request request);

  const std::vector<Stubs> stubs_;
  const size_t spares_;  // the number of last stubs_ that are kept for retries
  const std::string http_proxy_;
  const std::unique_ptr<Retries> retries_;
  std::atomic<uint64_t> next_{0};
};

// Makes the message that Client::Score sends. A view whose bytes do not fit its shape is not
// refused here, because the server refuses it.
v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const TensorView& keys,
                                  const ScoreOptions& options);
v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const KeySetReference& key_set,
                                  const ScoreOptions& options);

Receipt ReceiptFromProto(const v1::Receipt& receipt);

// Converts a status to Abseil's type, with the same code and message. If there is no connection,
// the message first says why in plain words, if that is known, and then has gRPC's text.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace qkserve

#endif  // QKSERVE_CLIENT_H_
