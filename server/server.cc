#include "server/server.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/byte_size.h"
#include "base/host.h"
#include "base/status_macros.h"
#include "base/thread_limit.h"
#include "core/kernels/blas.h"
#include "core/kernels/panels.h"
#include "grpc/grpc.h"
#include "grpcpp/grpcpp.h"
#include "qkserve/v1/key_set.grpc.pb.h"
#include "qkserve/v1/scoring.grpc.pb.h"
#include "qkserve/v1/status.grpc.pb.h"
#include "server/admission/compute_setup.h"
#include "server/admission/tenant_quotas.h"
#include "server/connection_setup.h"
#include "server/lifecycle/farewells.h"
#include "server/lifecycle/goodbye.h"
#include "server/lifecycle/listen_address.h"

namespace qkserve {
namespace {

constexpr absl::string_view kUnixPrefix = "unix:";

// Returns the speed of the process's kernel, in GFLOP/s. It is measured once.
double GflopsPerWorker() {
  static const double gflops = MeasureBlasGflops();
  return gflops;
}

// The number of threads beside workers and gRPC's threads. 13 threads have these tasks: HTTP,
// accepting, Farewells, files of uploads (4 threads), merges, and five watches: idle uploads,
// replies, the directory, the files that flags name, and gRPC's copies of certificates. The other 4
// are room for threads that gRPC adds under load.
constexpr int64_t kOtherThreads = 17;

// The time after which a refused caller may come again. Bytes in flight are usually free again
// within the time that a request takes.
constexpr absl::Duration kInFlightRetryAfter = absl::Milliseconds(100);

// Returns the error for a key_set_dir that cannot be used. The code is FAILED_PRECONDITION, because
// the error may go away without a change of flags. INVALID_ARGUMENT would tell a supervisor not to
// try again.
absl::Status DirectoryError(const absl::Status& status) {
  if (absl::IsCancelled(status) || absl::IsResourceExhausted(status)) return status;
  return absl::FailedPreconditionError(absl::StrCat("key_set_dir: ", status.message()));
}

bool MayBeReached(const ServerOptions& options) {
  return !options.tls_cert_file.empty() || options.allow_plaintext;
}

// Returns INVALID_ARGUMENT if other machines may reach an address without TLS, unless
// allow_plaintext is set. This is checked first, because reading key sets may take minutes.
// CheckBound checks again, because a name may have other addresses by then.
absl::Status CheckPlaintext(const ServerOptions& options) {
  if (MayBeReached(options)) return absl::OkStatus();
  if (!absl::StartsWith(options.listen_address, kUnixPrefix)) {
    RETURN_IF_ERROR(CheckIsLoopback(kListenAddressFlag, options.listen_address));
  }
  if (options.http_address.empty()) return absl::OkStatus();
  return CheckIsLoopback(kHttpAddressFlag, options.http_address);
}

// Makes the same check for the addresses that `sockets` are bound to.
absl::Status CheckBound(const ServerOptions& options, const AddressFlag& flag,
                        const std::string& address, const BoundSockets& sockets) {
  if (MayBeReached(options)) return absl::OkStatus();
  return CheckAreLoopback(flag, address, sockets.addresses());
}

// Listens on http_address, logs that, and calls on_http_listening.
absl::StatusOr<std::unique_ptr<HttpServer>> StartHttp(const ServerOptions& options,
                                                      const MetricsExporter& exporter,
                                                      const Clock* clock, const TlsFiles* tls) {
  const std::string& address = options.http_address;
  ASSIGN_OR_RETURN(BoundSockets sockets, BoundSockets::Bind(kHttpAddressFlag, address));
  RETURN_IF_ERROR(CheckBound(options, kHttpAddressFlag, address, sockets));
  ASSIGN_OR_RETURN(
      std::unique_ptr<HttpServer> http,
      HttpServer::Start(std::move(sockets), address, &exporter, options.log, clock, tls));
  options.log({LogLevel::kInfo, "http listening", {{"address", http->address()}}});
  RETURN_IF_ERROR(options.on_http_listening(http->port()));
  return http;
}

absl::string_view DescribeEncryption(const ServerOptions& options) {
  if (options.tls_cert_file.empty()) return "plain text";
  return options.tls_client_ca_file.empty() ? "TLS" : "TLS with certificates of clients";
}

// Reads the quotas of tenants now, and whenever the file changes. Empty `path`: there are no
// quotas.
absl::Status WatchQuotas(const std::string& path, const Clock& clock, Tenants& tenants,
                         FileReloader& files) {
  if (path.empty()) return absl::OkStatus();
  return files.Add({.flag = "tenant_quota_file",
                    .paths = {path},
                    .apply = [&](const std::vector<std::string>& contents) -> absl::Status {
                      ASSIGN_OR_RETURN(TenantQuotas quotas, ParseTenantQuotas(contents.front()));
                      tenants.SetQuotas(std::move(quotas), clock.Now());
                      return absl::OkStatus();
                    }});
}

AccessSources AccessSourcesOf(const ServerOptions& options) {
  return {.token_file = !options.token_file.empty(),
          .access_file = !options.access_file.empty(),
          .certificates = !options.tls_client_ca_file.empty()};
}

// Reads the files of tokens and permissions, and watches them. `access` must outlive `files`.
absl::Status WatchAccessFiles(const ServerOptions& options, AccessControl* access,
                              FileReloader& files) {
  using Contents = std::vector<std::string>;
  absl::Status status;
  if (!options.token_file.empty()) {
    status = files.Add({.flag = "token_file",
                        .paths = {options.token_file},
                        .apply = [access](const Contents& contents) {
                          return access->SetTokenFile(contents[0]);
                        }});
  }
  if (status.ok() && !options.access_file.empty()) {
    status = files.Add({.flag = "access_file",
                        .paths = {options.access_file},
                        .apply = [access](const Contents& contents) {
                          return access->SetAccessFile(contents[0]);
                        }});
  }
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const Clock* clock) try {
  RETURN_IF_ERROR(options.Validate());
  RETURN_IF_ERROR(CheckPlaintext(options));
  const int64_t workers = options.workers > 0 ? options.workers : UsableCpus();
  RETURN_IF_ERROR(CheckThreads(workers + kOtherThreads + GrpcThreads()));
  // No call of grpc_shutdown follows. After the last use of gRPC, grpc_shutdown ends gRPC's threads
  // and waits up to 10 s for one that polls.
  static const bool keeps_grpc = (grpc_init(), true);
  static_cast<void>(keeps_grpc);
  Parts parts;
  parts.compute = {.kernel = BlasKernelName(),
                   .key_set_kernel = std::string(PackedKernelName()),
                   .workers = workers,
                   .slots = ComputeSlots(workers, UsableCpus(), options.in_flight_bytes_max)};
  parts.access = std::make_unique<AccessControl>(AccessSourcesOf(options));
  parts.tenants = std::make_unique<Tenants>();
  parts.files = std::make_unique<FileReloader>(options.log, options.file_check_interval);
  if (!options.tls_cert_file.empty()) {
    ASSIGN_OR_RETURN(parts.tls, TlsFiles::Watch({.cert = options.tls_cert_file,
                                                 .key = options.tls_key_file,
                                                 .client_ca = options.tls_client_ca_file},
                                                parts.files.get()));
  }
  RETURN_IF_ERROR(WatchAccessFiles(options, parts.access.get(), *parts.files));
  RETURN_IF_ERROR(WatchQuotas(options.tenant_quota_file, *clock, *parts.tenants, *parts.files));
  parts.exporter =
      std::make_unique<MetricsExporter>(parts.compute, options.log_lines_dropped,
                                        options.ready_key_sets, parts.files.get(), parts.tls.get());
  if (!options.http_address.empty()) {
    ASSIGN_OR_RETURN(parts.http, StartHttp(options, *parts.exporter, clock, parts.tls.get()));
  }
  const BatchPolicyOptions policy = {.workers = parts.compute.slots,
                                     .threads = workers,
                                     .queued_requests_max = options.queue_requests_max,
                                     .queued_time_max = options.queue_time_max};
  RequestMetrics& metrics = parts.exporter->metrics();
  ASSIGN_OR_RETURN(parts.batcher,
                   Batcher::Create(policy, clock, [&metrics](int64_t requests, int64_t rows) {
                     metrics.CountBatch(requests, rows);
                   }));
  const KeySetStore::Options store = {.directory = options.key_set_dir,
                                      .is_read_only = options.key_set_dir_read_only,
                                      .memory_bytes_max = options.key_set_memory > 0
                                                              ? options.key_set_memory
                                                              : UsableMemoryBytes() / 2,
                                      .load_threads = static_cast<int>(workers),
                                      .refresh_every = options.key_set_refresh,
                                      .is_stopping = options.is_stopping,
                                      .log = options.log};
  absl::StatusOr<std::unique_ptr<KeySetStore>> key_sets =
      KeySetStore::Open(store, FileSystem::Posix());
  if (!key_sets.ok()) return DirectoryError(key_sets.status());
  parts.key_sets = *std::move(key_sets);
  ReserveBlasBuffers(static_cast<int>(parts.compute.slots));
  parts.compute.gflops_per_worker = GflopsPerWorker();
  std::unique_ptr<Server> server(new Server(options, std::move(parts), clock));
  RETURN_IF_ERROR(server->Listen());
  return server;
} catch (const std::system_error& error) {
  // A std::thread throws if other processes have taken the threads that CheckThreads found.
  return absl::ResourceExhaustedError(absl::StrCat("threads: cannot start one: ", error.what()));
}

Server::Server(const ServerOptions& options, Parts parts, const Clock* clock)
    : options_(options),
      clock_(*clock),
      tls_(std::move(parts.tls)),
      access_(std::move(parts.access)),
      tenants_(std::move(parts.tenants)),
      files_(std::move(parts.files)),
      exporter_(std::move(parts.exporter)),
      recorder_(&exporter_->metrics(), options.slow_request_threshold,
                options.log_requests == LoggedRequests::kErrors, options.log, clock),
      gate_(access_.get(), &recorder_),
      budget_("in_flight_bytes_max", options.in_flight_bytes_max, kInFlightRetryAfter,
              ComputeSlotsCharge(parts.compute.slots)),
      key_sets_(std::move(parts.key_sets)),
      batcher_(std::move(parts.batcher)),
      scoring_({.message_bytes_max = options.message_bytes_max,
                .compute = parts.compute,
                .key_sets = key_sets_.get(),
                .budget = &budget_},
               batcher_.get(), tenants_.get(), &calls_, &gate_, &recorder_, clock,
               options.reply_timeout > absl::ZeroDuration() ? options.reply_timeout
                                                            : absl::InfiniteDuration()),
      key_set_service_(key_sets_.get(), &budget_, &calls_, &gate_, &recorder_, clock,
                       options.upload_idle_timeout, options.message_bytes_max,
                       options.deletions_max),
      status_(parts.compute, AskedParts(), &gate_, &recorder_),
      health_({"", v1::ScoringService::service_full_name(), v1::KeySetService::service_full_name(),
               v1::StatusService::service_full_name()}),
      reflection_(
          {v1::ScoringService::service_full_name(), v1::KeySetService::service_full_name(),
           v1::StatusService::service_full_name(), "grpc.health.v1.Health",
           "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"},
          &gate_),
      unknown_methods_(&gate_, &recorder_),
      description_(absl::StrFormat(
          "kernel %s (%s, %.0f GFLOP/s a worker), key sets %s, %d workers, message_bytes_max %s, "
          "in_flight_bytes_max %s, key_set_memory %s, %s",
          parts.compute.kernel, BlasVersion(), parts.compute.gflops_per_worker,
          parts.compute.key_set_kernel, parts.compute.workers,
          RoundByteSize(options.message_bytes_max), RoundByteSize(options.in_flight_bytes_max),
          RoundByteSize(key_sets_->budget().bytes_max()), DescribeEncryption(options))),
      http_(std::move(parts.http)) {
  exporter_->Attach(AskedParts());
}

ServerParts Server::AskedParts() {
  return {.batcher = batcher_.get(),
          .budget = &budget_,
          .key_sets = key_sets_.get(),
          .calls = &calls_,
          .connections = &connections_,
          .access = access_.get(),
          .tenants = tenants_.get()};
}

Server::~Server() { Drain().IgnoreError(); }

// Binds the address that gRPC's connections come to.
absl::StatusOr<BoundSockets> Server::BindListenAddress() {
  const std::string& address = options_.listen_address;
  absl::string_view path = address;
  if (absl::ConsumePrefix(&path, kUnixPrefix)) {
    absl::ConsumePrefix(&path, "//");
    absl::StatusOr<BoundSockets> sockets = BoundSockets::BindPath(std::string(path));
    address_ = address;
    if (sockets.ok() || absl::IsInvalidArgument(sockets.status())) return sockets;
    return CannotListen(kListenAddressFlag, address, sockets.status());
  }
  ASSIGN_OR_RETURN(BoundSockets sockets, BoundSockets::Bind(kListenAddressFlag, address));
  RETURN_IF_ERROR(CheckBound(options_, kListenAddressFlag, address, sockets));
  port_ = sockets.port();
  address_ = WithPort(address, port_);
  return sockets;
}

absl::Status Server::Listen() {
  ASSIGN_OR_RETURN(BoundSockets sockets, BindListenAddress());
  const absl::Status listening = sockets.Listen();
  // This fails if another process has begun to listen on the address since it was bound.
  if (!listening.ok()) {
    return CannotListen(kListenAddressFlag, options_.listen_address, listening);
  }
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.message_bytes_max));
  builder.SetMaxSendMessageSize(static_cast<int>(options_.message_bytes_max));
  SetConnectionLimits(options_, builder);
  // gRPC would decompress a message of 1 MB to 1 GB before any limit applies. ReadWireMessage
  // decompresses within limits.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.RegisterService(&scoring_);
  builder.RegisterService(&key_set_service_);
  builder.RegisterService(&status_);
  builder.RegisterService(&health_);
  builder.RegisterService(&reflection_);
  builder.RegisterCallbackGenericService(&unknown_methods_);
  const ConnectionTaker take = AddConnectionTaker(
      tls_ != nullptr ? tls_->GrpcCredentials() : grpc::InsecureServerCredentials(), builder);
  grpc_server_ = builder.BuildAndStart();
  if (grpc_server_ == nullptr) {
    return absl::InternalError("gRPC does not start; its log says why");
  }
  acceptor_ = std::make_unique<Acceptor>(std::move(sockets), AcceptorOptions(options_, take),
                                         &connections_, &clock_);
  exporter_->SetReadiness(Readiness::kServing);
  return absl::OkStatus();
}

// The longest time that a draining server waits for the next message of an upload.
constexpr absl::Duration kDrainUploadIdleMax = absl::Seconds(5);

// The time for peers that still read, if calls have used up drain_timeout. Silent peers are let go
// within this time.
constexpr absl::Duration kDrainFarewellsMin = absl::Seconds(3);
static_assert(kFarewellShortSilence < kDrainFarewellsMin);

// The most rounds in which a draining server waits for clients that have not read their GOAWAY. A
// round lasts drain_grace. One round is enough unless a client is very slow, or ignores GOAWAY.
constexpr int kDrainRoundsMax = 5;

void Server::SendCallersAway() {
  acceptor_ = nullptr;
  Farewells::OfProcess().BeginDrain();
  int64_t begun = -1;
  for (int round = 0; round < kDrainRoundsMax && begun != calls_.begun(); ++round) {
    begun = calls_.begun();
    // If gRPC cannot send clients away, their new jobs are refused, because the drain must come to
    // an end.
    if (!SendClientsAway(*grpc_server_)) batcher_->RefuseNewJobs();
    absl::SleepFor(options_.drain_grace);
  }
}

absl::Status Server::Drain() {
  if (grpc_server_ == nullptr) return absl::OkStatus();
  exporter_->SetReadiness(Readiness::kDraining);
  health_.SetServing(false);
  SendCallersAway();
  batcher_->RefuseNewJobs();
  key_set_service_.RefuseNewCalls(std::min(kDrainUploadIdleMax, options_.drain_timeout / 2));
  const absl::Time end = clock_.Now() + options_.drain_timeout;
  const int64_t abandoned = calls_.AwaitNone(clock_, end);
  // Connections are closed first. Otherwise Shutdown would wait for them (20 s for an idle peer),
  // and would end calls that arrive meanwhile with CANCELLED.
  CloseConnections(*grpc_server_);
  grpc_server_->Shutdown(std::chrono::system_clock::now());
  grpc_server_->Wait();
  grpc_server_ = nullptr;
  // This waits for peers that still read, because the end of the process would reset their
  // connections. The result does not become an error, because a peer may have vanished.
  const int64_t cut =
      Farewells::OfProcess().EndDrain(std::max(end - clock_.Now(), kDrainFarewellsMin));
  if (cut > 0) {
    options_.log({LogLevel::kWarning,
                  "connections are cut before their clients have read all replies",
                  {{"connections", cut}}});
  }
  if (abandoned == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("drain_timeout passed with calls still in flight: ", abandoned));
}

}  // namespace qkserve
