#include "server/main_options.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// True if both paths lead to one file, which need not exist.
bool IsSameFile(const std::string& a, const std::string& b) {
  namespace fs = std::filesystem;
  const auto whole = [](const std::string& path) {
    std::error_code ignored;
    return fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  };
  return !b.empty() && whole(a) == whole(b);
}

void AddNetwork(MainOptions& options, Flags& flags) {
  ServerOptions& server = options.server;
  flags.BeginGroup("Network");
  flags.Add("listen_address", &server.listen_address,
            "HOST:PORT or unix:PATH to serve gRPC on; port 0 takes a free one; 0.0.0.0 or [::]: "
            "all addresses, IPv4 and IPv6");
  flags.Add("port_file", &options.port_file,
            "write the port that was taken to this file, once the server listens");
  flags.Add("http_address", &server.http_address,
            "HOST:PORT for /metrics, /healthz, /readyz and a page at /; port 0 takes a free one, "
            "empty: no HTTP",
            {.may_be_empty = true});
  flags.Add("http_port_file", &options.http_port_file,
            "write the HTTP port that was taken to this file, before key sets are loaded");
  flags.Add("connection_age", &server.connection_age,
            "close connections at this age or up to 22 % later, after their calls, so that clients "
            "look names up again; 0: never");
  flags.Add("connection_grace", &server.connection_grace,
            "cut calls that still run this long after their connection's age; 0: never");
  flags.Add("reply_timeout", &server.reply_timeout,
            "cancel a call whose reply its caller has not taken after this time; 0: never");
  flags.Add("connections_max", &server.connections_max,
            "gRPC connections at a time; others are closed at once; fewer if the process may open "
            "fewer files");
  flags.Add(
      "connections_per_peer_max", &server.connections_per_peer_max,
      "of these, connections from one IPv4 address or one /64 prefix of IPv6; 0: half of them; "
      "unix sockets have no such limit");
  flags.Add("keepalive_interval_min", &server.keepalive_interval_min,
            "cut clients off that send keepalive pings faster; 0: none");
}

void AddTls(MainOptions& options, Flags& flags) {
  ServerOptions& server = options.server;
  flags.BeginGroup("TLS, for gRPC and HTTP; files are read again when they change");
  flags.Add("tls_cert_file", &server.tls_cert_file,
            "the server's certificate (PEM), followed by those between it and its authority");
  flags.Add("tls_key_file", &server.tls_key_file, "its key (PEM), without a pass phrase");
  flags.Add("tls_client_ca_file", &server.tls_client_ca_file,
            "every client of gRPC must show a certificate of one of these authorities (PEM)");
  flags.Add(
      "allow_plaintext", &server.allow_plaintext,
      "serve gRPC and HTTP, both, without TLS also where other machines may reach their addresses");
}

void AddCheck(MainOptions& options, Flags& flags) {
  flags.BeginGroup("With --check; TLS is used if tls_cert_file or one of these is given");
  flags.Add("check_ca_file", &options.check_tls.ca_file,
            "authorities that may sign the server's certificate (PEM); without it any certificate "
            "is accepted, because --check is meant for a server on the same machine");
  flags.Add("check_server_name", &options.check_tls.server_name,
            "the name in the certificate, if it is not the host of the address");
  flags.Add("check_cert_file", &options.check_tls.cert_file,
            "a certificate (PEM) for a server that wants one");
  flags.Add("check_key_file", &options.check_tls.key_file, "its key (PEM)");
}

void AddAccess(MainOptions& options, Flags& flags) {
  ServerOptions& server = options.server;
  flags.BeginGroup("Access");
  flags.Add("token_file", &server.token_file,
            "file with an identity and the hash of its token on each line; callers then send a "
            "token; read again when it changes");
  flags.Add("access_file", &server.access_file,
            "file that says which identity may read, score or write which key sets; unless "
            "given, every identity may do everything; read again when it changes");
}

void AddKeySets(MainOptions& options, Flags& flags) {
  ServerOptions& server = options.server;
  flags.BeginGroup("Key sets");
  flags.Add("key_set_dir", &server.key_set_dir,
            "directory that key sets are kept in; empty: they end with the server",
            {.may_be_empty = true});
  flags.Add("key_set_dir_read_only", &server.key_set_dir_read_only,
            "serve what another server writes to key_set_dir, and follow its changes");
  flags.Add("upload_idle_timeout", &server.upload_idle_timeout,
            "an upload of a key set ends if it completes no message for this time");
  flags.Add("ready_key_sets", &server.ready_key_sets,
            "/readyz says 503 unless these key sets can be served: all, some (at least one, if "
            "there are any), or none");
}

void AddWork(MainOptions& options, Flags& flags) {
  ServerOptions& server = options.server;
  flags.BeginGroup("Memory");
  flags.AddBytes("key_set_memory", &server.key_set_memory,
                 "key sets in memory; 0: half of the memory this process may use");
  flags.AddBytes("in_flight_bytes_max", &server.in_flight_bytes_max,
                 "requests and results (three times: computed, in the message, serialised), over "
                 "all requests in flight");
  flags.AddBytes("message_bytes_max", &server.message_bytes_max, "largest message, each way");

  flags.BeginGroup("Computing");
  flags.Add("workers", &server.workers,
            "threads that compute; 0: the CPUs this process may use (affinity, cgroup quota)");
  flags.Add("kernel", &options.kernel,
            "CPU code, by OpenBLAS's names, for example SkylakeX (AVX-512), Haswell (AVX2), which "
            "holds for key sets, too; auto: the best for this CPU");

  flags.BeginGroup("Queue");
  flags.Add("queue_requests_max", &server.queue_requests_max,
            "requests that may wait for a worker");
  flags.Add("queue_time_max", &server.queue_time_max,
            "wait for a worker: a request that is expected to wait longer is refused; so is one "
            "that has waited longer, if others wait, too");
}

void AddTenants(MainOptions& options, Flags& flags) {
  flags.BeginGroup("Tenants");
  flags.Add("tenant_quota_file", &options.server.tenant_quota_file,
            "JSON file with the CPU time that each tenant may ask for, read again when it changes; "
            "empty: no limits",
            {.may_be_empty = true});
}

void AddLifeAndLog(MainOptions& options, Flags& flags) {
  ServerOptions& server = options.server;
  flags.BeginGroup("Drain");
  flags.Add("drain_grace", &server.drain_grace,
            "after SIGTERM clients are sent away; calls are still answered until none has come for "
            "this time");
  flags.Add("drain_timeout", &server.drain_timeout,
            "after drain_grace, how long calls that have begun may take to finish, and clients to "
            "read the replies");

  flags.BeginGroup("Logging, on standard error");
  flags.Add("log_format", &options.log_format,
            "text, json (one object a line), or journald (priorities, no time), which is the "
            "default where standard error is systemd's journal");
  flags.Add("log_requests", &server.log_requests,
            "slow: score calls that take slow_request_threshold; errors: these, and all calls that "
            "fail; ten lines a second of each at most");
  flags.Add("slow_request_threshold", &server.slow_request_threshold,
            "log score calls that take at least this time; 0: none");
}

}  // namespace

void MainOptions::AddFlags(Flags& flags) {
  AddNetwork(*this, flags);
  AddTls(*this, flags);
  AddAccess(*this, flags);
  AddKeySets(*this, flags);
  AddWork(*this, flags);
  AddTenants(*this, flags);
  AddLifeAndLog(*this, flags);

  // These flags have no variables, because QKSERVE_VERSION may well have another meaning.
  flags.BeginGroup("Instead of serving", Flags::Variables::kNone);
  flags.Add("check", &check,
            "ask the server at this address for its health, exit 0 if it serves, else 1",
            {.may_be_empty = true});
  flags.Add("make_token", &make_token,
            "make a token for this identity; print the token, and its line for token_file",
            {.may_be_empty = true});
  flags.Add("version", &version, "print the version");
  AddCheck(*this, flags);
}

absl::Status MainOptions::Validate() const {
  if (!port_file.empty() && absl::StartsWith(server.listen_address, "unix:")) {
    return absl::InvalidArgumentError(
        absl::StrCat("port_file needs a listen_address with a port; was ", server.listen_address));
  }
  if (!http_port_file.empty() && server.http_address.empty()) {
    return absl::InvalidArgumentError("http_port_file needs an http_address; was ''");
  }
  if (!http_port_file.empty() && IsSameFile(http_port_file, port_file)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "http_port_file must be another file than port_file; both were ", http_port_file));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
