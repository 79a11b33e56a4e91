#ifndef QKSERVE_SERVER_OPTIONS_H_
#define QKSERVE_SERVER_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "core/batching/limits.h"
#include "qkserve/limits.h"
#include "server/lifecycle/readiness.h"
#include "server/limits.h"

namespace qkserve {

// The calls that are logged.
//
//   slow    score calls that take at least slow_request_threshold
//   errors  slow score calls, and all calls that fail
enum class LoggedRequests { kSlow, kErrors };

// The value of --log_requests; see base/flags.h.
bool ParseFlag(absl::string_view text, LoggedRequests* requests, std::string* error);
std::string FlagText(LoggedRequests requests);

// The options that an operator chooses. main_options.cc fills them from flags of the same names.
// The functions at the end have no flags. Only tests set key_set_refresh, file_check_interval and
// the limits whose comment says so.
struct ServerOptions {
  // HOST:PORT or unix:PATH. Port 0 takes a free one.
  std::string listen_address = "127.0.0.1:50051";

  // HOST:PORT for /metrics, /healthz, /readyz and the page. Empty: there is no HTTP. This default
  // differs from the flag's, because an embedded server has HTTP only if it is told to.
  std::string http_address = {};

  // Files in PEM format for the TLS of gRPC and HTTP. They are read again when they change. In
  // tls_cert_file, the server's certificate comes first, then the certificates between it and its
  // authority. Empty: plain text.
  std::string tls_cert_file = {};
  std::string tls_key_file = {};

  // A file with the authorities of clients. If it is given, each client of gRPC must show a
  // certificate of one of these authorities. Clients of HTTP are never asked for a certificate,
  // because kubelet's probes have none.
  std::string tls_client_ca_file = {};

  // Allows plain text for gRPC and HTTP even if other machines may reach their addresses.
  bool allow_plaintext = false;

  // Files with the callers' tokens and with what callers may do (server/access/). They are read
  // again when they change. Empty: there is no such file. If both are empty, everyone who reaches
  // the address may do everything.
  std::string token_file = {};
  std::string access_file = {};

  // Threads that compute. 0: as many as there are CPUs that this process may use.
  int64_t workers = 0;

  // The most bytes of a message, in either direction.
  int64_t message_bytes_max = kMessageBytesMax;

  // The most bytes that requests in flight and their results hold together.
  int64_t in_flight_bytes_max = kInFlightBytesMax;

  // The directory in which key sets are kept. Empty: key sets are in memory only. Read-only:
  // another server writes the directory, and this server follows its changes.
  std::string key_set_dir = {};
  bool key_set_dir_read_only = false;

  // The most bytes that packed key sets hold in memory. 0: half of the memory that this process may
  // use.
  int64_t key_set_memory = 0;

  // An upload that completes no message for this time ends with DEADLINE_EXCEEDED.
  absl::Duration upload_idle_timeout = absl::Seconds(60);

  // The interval at which a read-only server looks for new versions.
  absl::Duration key_set_refresh = absl::Seconds(1);

  // The interval at which a server looks for changes of the files that flags name; see
  // FileReloader.
  absl::Duration file_check_interval = absl::Seconds(1);

  // A connection is closed at this age or up to 22 % later, after its calls have ended. Its client
  // then looks the server's name up again. 0 or infinite: never.
  absl::Duration connection_age = absl::Seconds(60);

  // The time that calls may go on after their connection has reached connection_age. Then the
  // connection is closed, and its calls fail with UNAVAILABLE. 0 or infinite: no limit.
  absl::Duration connection_grace = kConnectionGrace;

  // A call is cancelled if its caller has not taken the reply after this time, unless the call's
  // deadline comes first. 0 or infinite: never.
  absl::Duration reply_timeout = kReplyTimeout;

  // The most connections at a time: in all, and from one IPv4 address or one prefix of IPv6
  // (PeerPrefix). Further connections are closed at once. The limit of open files may lower
  // connections_max. connections_per_peer_max = 0: half of the connections in all.
  int64_t connections_max = kConnectionsMax;
  int64_t connections_per_peer_max = 0;

  // Limits from limits.h that only tests set, to lower values.
  int64_t deletions_max = kDeletionsMax;
  absl::Duration handshake_timeout = kHandshakeTimeout;
  absl::Duration ping_after = kPingAfter;
  absl::Duration ping_timeout = kPingTimeout;
  absl::Duration unsent_timeout = kUnsentTimeout;

  // A client whose keepalive pings come faster is cut off at its third ping. gRPC's clients for Go
  // and Java ping at most every 10 s.
  absl::Duration keepalive_interval_min = absl::Seconds(5);

  // The limits of the queue: the number of requests, and the longest time that a request waits. A
  // request's deadline may allow less time.
  int64_t queue_requests_max = kQueueRequestsMax;
  absl::Duration queue_time_max = kQueueTimeMax;

  // A file with the tenants' quotas, which is read again when it changes; see TenantQuotas. Empty:
  // there are no quotas.
  std::string tenant_quota_file = {};

  // A server that is told to stop sends its clients away. It still answers calls until none has
  // come for this time, because clients need time to read that they should go. This lasts at most
  // five times drain_grace.
  absl::Duration drain_grace = absl::Milliseconds(200);

  // The time after drain_grace in which requests in flight may finish, and clients may read the
  // replies.
  absl::Duration drain_timeout = absl::Seconds(30);

  // Requests that take at least this long are logged. 0: no request is logged.
  absl::Duration slow_request_threshold = absl::Seconds(1);

  // The calls that get a line in the log: at most ten a second of each kind.
  LoggedRequests log_requests = LoggedRequests::kSlow;

  // The key sets that must be served. Otherwise /readyz says 503.
  ReadyKeySets ready_key_sets = ReadyKeySets::kSome;

  LogSink log = [](const LogEvent&) {};

  // Returns how many lines of the log were not written, for the metric. Called from any thread.
  std::function<int64_t()> log_lines_dropped = [] { return 0; };

  // Called when the server listens on http_address, before it loads key sets. An error ends the
  // start.
  std::function<absl::Status(int port)> on_http_listening = [](int) { return absl::OkStatus(); };

  // Asked while key sets are loaded, from any thread. If it returns true, the start ends.
  std::function<bool()> is_stopping = [] { return false; };

  // Checks the options. INVALID_ARGUMENT names the option, its value and the values that are
  // possible.
  absl::Status Validate() const;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OPTIONS_H_
