#include <signal.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/host.h"
#include "base/status_macros.h"
#include "qkserve/channel.h"
#include "qkserve/client.h"
#include "tools/load/find_peak.h"
#include "tools/load/run_load.h"
#include "tools/load/verifier.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/commands/load_inputs.h"
#include "tools/qkctl/commands/load_options.h"
#include "tools/qkctl/output/file_output.h"
#include "tools/qkctl/output/load_text.h"
#include "tools/qkctl/output/load_verdict.h"
#include "tools/qkctl/output/progress.h"
#include "tools/report/load_export.h"

namespace qkserve {
namespace {

// The most payloads of a load. With --verify there are fewer, so that each request is soon sent
// again.
constexpr int kPayloadsMax = 64;
constexpr int kPayloadsMaxVerified = 8;

// --timeout does not apply to GetStatus, because this call is answered at once and is not part of
// the load.
constexpr absl::Duration kStatusTimeout = absl::Seconds(5);

// The signal handler below sets this.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

constexpr std::array<int, 3> kEndSignals = {SIGINT, SIGTERM, SIGHUP};

// Notes the signal. The next signal ends the process. Async-signal-safe.
void Interrupt(int /*signal*/) {
  interrupted = true;
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (const int signal : kEndSignals) sigaction(signal, &action, nullptr);
}

// Makes Ctrl-C, SIGTERM and a closed terminal end the load early. A second signal ends the process.
void StopOnInterrupt() {
  struct sigaction action = {};
  action.sa_handler = &Interrupt;
  action.sa_flags = SA_RESTART;
  for (const int signal : kEndSignals) sigaction(signal, &action, nullptr);
}

// Fills in the CPUs of this machine and the server's status. Returns only UNAVAILABLE and
// DEADLINE_EXCEEDED. Other errors leave the status empty, because another implementation of the
// server may not have GetStatus.
absl::Status AskForStatus(Client& client, const std::string& address, LoadMachines* machines) {
  machines->client_cpu = CpuName();
  machines->client_cpus = static_cast<int>(UsableCpus());
  machines->server = address;
  absl::StatusOr<v1::GetStatusResponse> status = client.GetStatus(kStatusTimeout);
  if (absl::IsUnavailable(status.status())) return status.status();
  if (absl::IsDeadlineExceeded(status.status())) {
    return absl::DeadlineExceededError(absl::StrCat(machines->server, " does not answer"));
  }
  if (status.ok()) machines->status = *std::move(status);
  return absl::OkStatus();
}

// Runs one load with its progress line. `observer` may end the load.
LoadResult RunStep(const LoadOptions& options, const LoadTarget& target, bool shows_progress,
                   const std::string& name, const LoadObserver& observer = nullptr) {
  if (!shows_progress) {
    return RunLoad(options, target, Clock::Monotonic(), interrupted, observer);
  }
  LoadProgressLine line(name);
  return RunLoad(options, target, Clock::Monotonic(), interrupted,
                 [&](const LoadProgress& progress) {
                   line.Show(progress);
                   return !observer || observer(progress);
                 });
}

void RunAll(const LoadCommandOptions& command, const LoadTarget& target, LoadReport* report) {
  const std::vector<LoadOptions> all = command.Loads();
  const std::optional<LatencyLimit> limit = command.PeakLimit();
  report->is_series = all.size() > 1 || limit.has_value();
  if (limit.has_value()) {
    const auto may_fail = [allowed = command.AllowedErrors()](absl::StatusCode code) {
      return allowed.Has(code);
    };
    const auto run = [&](const LoadOptions& options, const LoadObserver& observer) {
      return RunStep(options, target, command.progress, PaceText(options), observer);
    };
    report->peak = FindPeak({all[0], *limit, may_fail}, run, interrupted, &report->steps);
    return;
  }
  for (const LoadOptions& options : all) {
    if (interrupted && !report->steps.empty()) break;
    const std::string name = all.size() > 1 ? PaceText(options) : std::string();
    report->steps.push_back(RunStep(options, target, command.progress, name));
    if (!report->steps.back().nobody_there.ok()) break;
  }
}

// Sends all loads and fills the report.
absl::Status SendLoads(const LoadCommandOptions& command, const LoadFiles& files,
                       const LoadKeySets& key_sets, LoadReport* report) {
  const int payloads_max = command.verify ? kPayloadsMaxVerified : kPayloadsMax;
  ASSIGN_OR_RETURN(const RequestSet requests, BuildLoadRequests(report->workload, files, key_sets,
                                                                payloads_max, command.seed));
  LoadTarget target = {.requests = &requests};
  ClientOptions client = command.connection.ForClient();
  client.attempts_max = 1;  // the load itself retries, and counts the retries
  ASSIGN_OR_RETURN(target.channels, MakeChannels(client));
  target.metadata = CallerMetadata(command.caller.tenant, command.caller.priority);
  if (command.attempts > 1 && client.channels == 1) {
    // A retry uses another connection, as in Client.
    ASSIGN_OR_RETURN(target.spare_channels, MakeChannels(client));
  }
  std::optional<Verifier> verifier;
  if (command.verify) {
    ASSIGN_OR_RETURN(std::vector<KnownKeySet> known, key_sets.ReadContents(command.storage));
    report->verify.emplace().keys_known = command.KeysFrom() != LoadKeys::kForeign;
    verifier.emplace(&requests, std::move(known), Clock::Monotonic());
    target.tap = [&verifier](int64_t sequence, size_t request, const grpc::ByteBuffer& reply) {
      verifier->Offer(sequence, request, reply);
    };
  }

  report->begun = absl::Now();
  RunAll(command, target, report);
  if (verifier.has_value()) report->verify->result = verifier->Finish(/*check_rest=*/!interrupted);
  return absl::OkStatus();
}

absl::Status RemoveKeySets(const LoadCommandOptions& command, LoadKeySets& key_sets) {
  // Removing key sets takes long if the server does not answer. Without this message the interrupt
  // would seem lost.
  if (interrupted && command.KeysFrom() == LoadKeys::kMade) {
    std::fputs("removing what was made; interrupt again to leave it\n", stderr);
  }
  return key_sets.Remove();
}

// Shows and writes the report. The status that is returned decides the exit code.
absl::Status Conclude(const LoadCommandOptions& command, const LoadReport& report) {
  const StatusCodes allowed = command.AllowedErrors();
  RETURN_IF_ERROR(CheckAnswered(report, allowed, interrupted));
  const std::string text = command.csv == "-" ? std::string() : LoadReportText(report);
  absl::Status status = ShowAnswer(text, LoadReportJson(report), command.json);
  if (!command.csv.empty()) status.Update(WriteOutput(command.csv, {LoadReportCsv(report)}));
  if (!command.report.empty()) status.Update(WriteOutput(command.report, {LoadPage(report)}));
  status.Update(JudgeLoad(report, allowed));
  return status;
}

absl::Status Run(const LoadCommandOptions& command) {
  LoadReport report;
  report.workload = command.Workload();
  report.channels = command.connection.client.channels;
  ASSIGN_OR_RETURN(const LoadFiles files, OpenLoadFiles(command, &report.workload));
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, MakeClient(command.connection));
  RETURN_IF_ERROR(AskForStatus(*client, command.connection.client.address, &report.machines));
  StopOnInterrupt();
  ASSIGN_OR_RETURN(LoadKeySets key_sets, LoadKeySets::Prepare(client.get(), command, files,
                                                              &interrupted, &report.workload));
  if (!key_sets.references().empty()) report.key_set = key_sets.references()[0].name;

  absl::Status status = SendLoads(command, files, key_sets, &report);
  // Key sets are removed before the report is shown, because showing the report fails if the reader
  // of the output closes it.
  absl::Status removed = RemoveKeySets(command, key_sets);
  if (status.ok()) status = Conclude(command, report);
  if (status.ok()) return removed;
  // The tool ends with one error, so this second error is printed here.
  MadeKeySet::Warn(removed);
  return status;
}

constexpr absl::string_view kDetails =
    R"(A closed loop (--concurrency) shows what the server can do. An open loop
(--rate) shows what users see, because it sends even if the server does not keep
up. Its latencies count from the time at which a request was due. docs/load.md
has the terms.

Keys travel with each request unless there is a key set. It may be one of the
server's (--key_set). Or qkctl makes key sets for this load and removes them at
its end (--make_key_set, --key_sets, resident workloads; from --keys if given).
Ctrl-C ends the load early and reports what ran.

Exit codes:
  1  requests failed (see --allow_errors) or were answered wrong (--verify)
  2  wrong usage
  3  the load that was asked for could not be sent
)";

constexpr absl::string_view kMoreExamples =
    R"(  qkctl load --rate=500 --workload=resident-top --duration=1m --report=load.html
  qkctl load --concurrency=1:256:x2 --duration=5s --workload=inline-small \
      --csv=load.csv
  qkctl load --rate=10:2000 --key_set=items --n=1 --output=top_k --top_k=10
  qkctl load --find_peak --latency_limit=p99:50ms --workload=resident-mixed
  qkctl load --concurrency=64 --n=1 --make_key_set=9000,128,128 --output=context
)";

}  // namespace

Command LoadCommand() {
  return WithOptions({.name = "load",
                      .summary = "Keeps a server busy and reports throughput and latencies.",
                      .details = kDetails,
                      .example = "qkctl load --concurrency=32 --duration=10s --n=16 --m=128 --d=64",
                      .more_examples = kMoreExamples},
                     &Run);
}

}  // namespace qkserve
