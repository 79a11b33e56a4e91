#ifndef QKSERVE_SERVER_SERVER_H_
#define QKSERVE_SERVER_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/byte_budget.h"
#include "base/clock.h"
#include "core/batching/batcher.h"
#include "core/key_sets/key_set_store.h"
#include "grpcpp/server.h"
#include "server/access/access_control.h"
#include "server/admission/compute_setup.h"
#include "server/admission/tenants.h"
#include "server/http/http_server.h"
#include "server/lifecycle/acceptor.h"
#include "server/lifecycle/file_reloader.h"
#include "server/lifecycle/listen_address.h"
#include "server/observe/call_recorder.h"
#include "server/observe/metrics_exporter.h"
#include "server/options.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/health_service.h"
#include "server/rpc/key_set_service.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/scoring_service.h"
#include "server/rpc/status_service.h"
#include "server/rpc/unknown_methods.h"
#include "server/tls/tls_files.h"

namespace qkserve {

// A running server. gRPC listens on one address, with health and reflection beside the services of
// qkserve.v1.
//
// The process must have chosen its kernel (SelectKernelsOrReexec) before. Thread-compatible.
class Server {
 public:
  // Loads all key sets, listens, and returns. HTTP answers before the sets are loaded.
  // INVALID_ARGUMENT: an option is out of range. UNAVAILABLE: the server cannot listen on an
  // address. RESOURCE_EXHAUSTED: the system gives the process too few threads. CANCELLED:
  // options.is_stopping returned true. Other errors say why key_set_dir cannot be used.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const Clock* clock = Clock::Monotonic());

  // Drains, then ends.
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The address that gRPC listens on, with the port that was taken: HOST:PORT, or unix:PATH.
  const std::string& address() const { return address_; }
  // The port that gRPC listens on, or 0 for a path.
  int port() const { return port_; }

  // The address that HTTP listens on. "" if there is no HTTP.
  std::string http_address() const { return http_ != nullptr ? http_->address() : ""; }

  // Drains the server: sets health to NOT_SERVING, stops listening, and sends GOAWAY to all
  // clients. Calls that still arrive are answered until none has come for drain_grace. Later calls
  // get UNAVAILABLE. When the calls in flight have ended, or drain_timeout has passed, closes all
  // connections. Unfinished calls then end with UNAVAILABLE. Returns when peers have read their
  // replies, or drain_timeout has passed; peers have at least 3 s for this. Connections that are
  // then cut are logged, and are no error. May be called again. DEADLINE_EXCEEDED: calls were still
  // in flight after drain_timeout.
  absl::Status Drain();

  // True if no call is under way.
  bool IsIdle() const { return calls_.count() == 0; }

  // A line for the log: kernel, rate, workers, limits.
  const std::string& description() const { return description_; }

 private:
  struct Parts {
    ComputeSetup compute;
    // `files` applies contents to members that stand before it, because they must outlive it.
    std::unique_ptr<TlsFiles> tls;  // null: plain text
    std::unique_ptr<AccessControl> access;
    std::unique_ptr<Tenants> tenants;
    std::unique_ptr<FileReloader> files;
    std::unique_ptr<MetricsExporter> exporter;  // asks files
    std::unique_ptr<HttpServer> http;           // null: there is no HTTP; asks the exporter
    std::unique_ptr<Batcher> batcher;           // tells the exporter
    std::unique_ptr<KeySetStore> key_sets;
  };

  Server(const ServerOptions& options, Parts parts, const Clock* clock);
  ServerParts AskedParts();
  absl::StatusOr<BoundSockets> BindListenAddress();
  absl::Status Listen();
  void SendCallersAway();

  const ServerOptions options_;
  const Clock& clock_;
  // Members are destroyed from the last to the first. Therefore the gRPC server ends its calls
  // before the members that calls use are destroyed. files_ applies contents to members that stand
  // before it, because they must outlive it.
  const std::unique_ptr<TlsFiles> tls_;
  const std::unique_ptr<AccessControl> access_;
  const std::unique_ptr<Tenants> tenants_;
  const std::unique_ptr<FileReloader> files_;
  const std::unique_ptr<MetricsExporter> exporter_;
  const CallRecorder recorder_;
  const CallGate gate_;
  ByteBudget budget_;    // ComputeSlotsCharge reserves a part
  InFlightCalls calls_;  // calls of Score, and calls that change key sets
  const std::unique_ptr<KeySetStore> key_sets_;
  const std::unique_ptr<Batcher> batcher_;
  ScoringService scoring_;
  KeySetService key_set_service_;
  StatusService status_;
  HealthService health_;
  ReflectionService reflection_;
  UnknownMethods unknown_methods_;
  ConnectionCounts connections_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<Acceptor> acceptor_;  // feeds grpc_server_
  std::string address_;
  int port_ = 0;
  std::string description_;
  const std::unique_ptr<HttpServer> http_;  // last, because it asks all of the above
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_SERVER_H_
