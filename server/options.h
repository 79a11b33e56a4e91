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
//   slow    score calls that take slow_request_threshold
//   errors  these, and all calls that fail
enum class LoggedRequests { kSlow, kErrors };

// The value of --log_requests; see base/flags.h.
bool ParseFlag(absl::string_view text, LoggedRequests* requests, std::string* error);
std::string FlagText(LoggedRequests requests);

// The choices of an operator. main_options.cc fills it from flags of the same names. Only tests set
// key_set_refresh, file_check_interval and the limits that say so; the functions at the end have no
// flags.
struct ServerOptions {
  // HOST:PORT or unix:PATH. Port 0 takes a free one.
  std::string listen_address = "127.0.0.1:50051";

  // HOST:PORT for /metrics, /healthz, /readyz and the page. Empty: there is no HTTP. The flag has
  // another default, because an embedded server has no HTTP unless it is told so.
  std::string http_address = {};

  // TLS for gRPC and HTTP, from files in PEM format that are read again when they change. The
  // certificate is followed by those between it and its authority. Empty: plain text.
  std::string tls_cert_file = {};
  std::string tls_key_file = {};

  // The authorities of clients. If it is given, each client of gRPC must show a certificate of one
  // of them. Clients of HTTP are never asked, because kubelet's probes have none.
  std::string tls_client_ca_file = {};

  // Plain text, for gRPC and HTTP, also where other machines may reach their addresses.
  bool allow_plaintext = false;

  // Files of the callers' tokens and of what callers may do: see server/access/. They are read
  // again when they change. Empty: there are none. If both are empty, whoever reaches the address
  // may do everything.
  std::string token_file = {};
  std::string access_file = {};

  // Threads that compute. 0: as many as there are CPUs that this process may use.
  int64_t workers = 0;

  // The largest message in either direction.
  int64_t message_bytes_max = kMessageBytesMax;

  // Bytes that requests in flight and their results hold together.
  int64_t in_flight_bytes_max = kInFlightBytesMax;

  // The directory in which key sets are kept. Empty: in memory only. Read-only: another server
  // writes them, and this one follows.
  std::string key_set_dir = {};
  bool key_set_dir_read_only = false;

  // Bytes that packed key sets hold in memory. 0: half of the memory that this process may use.
  int64_t key_set_memory = 0;

  // An upload that completes no message for this time ends with DEADLINE_EXCEEDED.
  absl::Duration upload_idle_timeout = absl::Seconds(60);

  // The interval at which a read-only server looks for new versions.
  absl::Duration key_set_refresh = absl::Seconds(1);

  // The interval at which a server looks for changes of the files that flags name; see
  // FileReloader.
  absl::Duration file_check_interval = absl::Seconds(1);

  // The age at which a connection is closed, or up to 22 % later, once its calls have ended.
  // Clients then look their servers' names up again. 0 or infinite: never.
  absl::Duration connection_age = absl::Seconds(60);

  // How long calls may go on after the age of their connection. Then it is closed, and they fail
  // with UNAVAILABLE. 0 or infinite: without end.
  absl::Duration connection_grace = kConnectionGrace;

  // A call whose caller has not taken its reply after this time is cancelled, unless its deadline
  // comes first. 0 or infinite: never.
  absl::Duration reply_timeout = kReplyTimeout;

  // Connections at a time: in all, and from one address, or one prefix of IPv6 (PeerPrefix). Others
  // are closed at once. The first is lowered to what the limit of open files allows. 0 for an
  // address: half of all.
  int64_t connections_max = kConnectionsMax;
  int64_t connections_per_peer_max = 0;

  // Limits of limits.h that tests shorten.
  int64_t deletions_max = kDeletionsMax;
  absl::Duration handshake_timeout = kHandshakeTimeout;
  absl::Duration ping_after = kPingAfter;
  absl::Duration ping_timeout = kPingTimeout;
  absl::Duration unsent_timeout = kUnsentTimeout;

  // A client whose keepalive pings come faster is cut off at its third ping. gRPC's clients for Go
  // and Java ping every 10 s at most.
  absl::Duration keepalive_interval_min = absl::Seconds(5);

  // Bounds of the queue: the number of requests, and the longest time that one waits. A request's
  // deadline may allow less time.
  int64_t queue_requests_max = kQueueRequestsMax;
  absl::Duration queue_time_max = kQueueTimeMax;

  // A file with the tenants' quotas, which is read again when it changes; see TenantQuotas. Empty:
  // there are no quotas.
  std::string tenant_quota_file = {};

  // A server that is told to stop sends its clients away. It still answers calls until none has
  // come for this time, which clients need to read that they should go. At most five times as long.
  absl::Duration drain_grace = absl::Milliseconds(200);

  // The time after drain_grace in which requests in flight may finish.
  absl::Duration drain_timeout = absl::Seconds(30);

  // Requests that take at least this long are logged. 0: no request is logged.
  absl::Duration slow_request_threshold = absl::Seconds(1);

  // The calls that get a line of the log, ten a second at most of each kind.
  LoggedRequests log_requests = LoggedRequests::kSlow;

  // The key sets without which /readyz says 503.
  ReadyKeySets ready_key_sets = ReadyKeySets::kSome;

  LogSink log = [](const LogEvent&) {};

  // Returns how many lines of the log were not written, for the metric. Called from any thread.
  std::function<int64_t()> log_lines_dropped = [] { return 0; };

  // Called when http_address is listened on, before key sets are loaded. An error ends the start.
  std::function<absl::Status(int port)> on_http_listening = [](int) { return absl::OkStatus(); };

  // Asked while key sets are loaded, from any thread. If it returns true, the start ends.
  std::function<bool()> is_stopping = [] { return false; };

  // INVALID_ARGUMENT names the option, what it was and what is possible.
  absl::Status Validate() const;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OPTIONS_H_
