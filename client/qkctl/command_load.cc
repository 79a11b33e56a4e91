#include "client/qkctl/command_load.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/channel.h"
#include "client/client.h"
#include "client/load/load_page.h"
#include "client/load/load_report.h"
#include "client/load/run_load.h"
#include "client/load/verifier.h"
#include "client/qkctl/file_output.h"
#include "client/qkctl/json_flag.h"
#include "client/qkctl/key_set_flags.h"
#include "client/qkctl/load_data.h"
#include "client/qkctl/load_flags.h"
#include "client/qkctl/load_progress.h"
#include "client/qkctl/load_text.h"
#include "client/qkctl/output_flags.h"
#include "client/qkctl/queries_flag.h"
#include "client/qkctl/shared_flags.h"
#include "client/qkctl/storage_flag.h"
#include "client/qkctl/tensor_flags.h"
#include "core/clock.h"

namespace qkserve {
namespace {

// The load that was asked for is not the load that was sent.
constexpr int kBehindSchedule = 3;

// Different requests; with --verify so few that each is sent again soon.
constexpr int kPayloadsMax = 64;
constexpr int kPayloadsMaxVerified = 8;

// The server's answer to who it is comes at once, or does not matter.
constexpr absl::Duration kStatusTimeout = absl::Seconds(5);

// Set by Ctrl-C.
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

// Ctrl-C, SIGTERM or a terminal that goes ends the load early. A second signal ends the process.
void StopOnInterrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

// Who is there. Other servers than ours may not say.
absl::Status AskForStatus(Client& client, LoadMachines* machines) {
  machines->client_cpu = CpuName();
  machines->client_cpus = UsableCpuCount();
  machines->server = absl::GetFlag(FLAGS_server);
  const absl::StatusOr<v1::GetStatusResponse> status =
      client.GetStatus(std::min(absl::GetFlag(FLAGS_timeout), kStatusTimeout));
  if (absl::IsUnavailable(status.status())) return status.status();
  if (!status.ok()) return absl::OkStatus();
  machines->server_version = status->version();
  machines->server_kernel = status->kernel();
  machines->server_key_set_kernel = status->key_set_kernel();
  machines->server_workers = status->workers();
  return absl::OkStatus();
}

// One load with its progress line. `observer` may end it.
LoadResult RunStep(const LoadOptions& options, const LoadTarget& target, const std::string& name,
                   const LoadObserver& observer = nullptr) {
  if (!absl::GetFlag(FLAGS_progress)) {
    return RunLoad(options, target, Clock::Monotonic(), interrupted, observer);
  }
  LoadProgressLine line(name);
  return RunLoad(options, target, Clock::Monotonic(), interrupted,
                 [&](const LoadProgress& progress) {
                   line.Tell(progress);
                   return !observer || observer(progress);
                 });
}

void FindPeak(const LoadOptions& common, const LatencyLimit& limit, const LoadTarget& target,
              LoadReport* report) {
  PeakSearch search(common.rate_from);
  PeakResult peak;
  peak.limit = limit;
  while (search.Next().has_value() && !interrupted) {
    LoadOptions options = common;
    options.rate_from = options.rate_to = *search.Next();
    const LoadResult step =
        RunStep(options, target, PaceText(options),
                [&limit](const LoadProgress& progress) { return !LostLimit(progress, limit); });
    report->steps.push_back(step);
    if (interrupted || step.nobody_there) break;
    const bool held = HeldLimit(step, limit);
    search.Tell(held);
    // Whether it was the client that could not send what this rate, the lowest that failed, asked
    // for.
    if (!held && search.failed() == options.rate_from) {
      peak.client_limited = !step.KeptSchedule() && step.counts.in_flight_full == 0;
    }
  }
  peak.held = search.held();
  peak.failed = search.failed();
  report->peak = peak;
}

void RunAll(const LoadTarget& target, LoadReport* report) {
  const std::vector<LoadOptions> all = LoadOptionsFromFlags();
  if (const std::optional<LatencyLimit> limit = PeakLimitFromFlags()) {
    FindPeak(all[0], *limit, target, report);
    return;
  }
  for (const LoadOptions& options : all) {
    if (interrupted && !report->steps.empty()) break;
    report->steps.push_back(
        RunStep(options, target, all.size() > 1 ? PaceText(options) : std::string()));
    if (report->steps.back().nobody_there) break;
  }
}

absl::StatusOr<std::unique_ptr<Verifier>> MakeVerifier(const RequestSet& requests,
                                                       const LoadKeySets& key_sets,
                                                       LoadReport* report) {
  absl::StatusOr<std::vector<KnownKeySet>> known = key_sets.ReadContents();
  if (!known.ok()) return known.status();
  report->verify.emplace();
  report->verify->keys_known = LoadKeysFromFlags() != LoadKeys::kForeign;
  return std::make_unique<Verifier>(&requests, *std::move(known), Clock::Monotonic());
}

// Sends everything and fills the report.
absl::Status SendLoads(const LoadFiles& files, const LoadKeySets& key_sets, LoadReport* report) {
  const bool verify = absl::GetFlag(FLAGS_verify);
  const absl::StatusOr<RequestSet> requests = BuildLoadRequests(
      report->workload, files, key_sets, verify ? kPayloadsMaxVerified : kPayloadsMax);
  if (!requests.ok()) return requests.status();
  std::unique_ptr<Verifier> verifier;
  if (verify) {
    absl::StatusOr<std::unique_ptr<Verifier>> made = MakeVerifier(*requests, key_sets, report);
    if (!made.ok()) return made.status();
    verifier = *std::move(made);
  }
  absl::StatusOr<std::vector<std::shared_ptr<grpc::Channel>>> channels =
      MakeChannels(ClientOptionsFromFlags());
  if (!channels.ok()) return channels.status();
  LoadTarget target = {*std::move(channels), &*requests, nullptr};
  if (verifier != nullptr) {
    target.tap = [&verifier](int64_t sequence, size_t request, const grpc::ByteBuffer& reply) {
      verifier->Offer(sequence, request, reply);
    };
  }
  report->begun = absl::Now();
  RunAll(target, report);
  if (verifier != nullptr) report->verify->result = verifier->Finish();
  return absl::OkStatus();
}

// Errors whose codes are not allowed; a search expects any.
absl::Status JudgeErrors(const LoadReport& report) {
  const StatusCodesFlag allowed = absl::GetFlag(FLAGS_allow_errors);
  int64_t failed = 0, sent = 0;
  absl::Status first;
  for (const LoadResult& step : report.steps) {
    sent += step.counts.sent;
    for (const auto& [code, count] : step.counts.errors_by_code) {
      if (count == 0 || allowed.Has(code)) continue;
      failed += count;
      if (first.ok() || step.counts.first_error.code() == code) first = step.counts.first_error;
    }
  }
  if (failed == 0 || report.peak.has_value()) return absl::OkStatus();
  return absl::Status(first.code(),
                      absl::StrCat(failed, " of ", sent, " requests failed, the first with: ",
                                   first.message(), " (see --allow_errors)"));
}

// What the exit code says, worst first.
absl::Status Judge(const LoadReport& report) {
  if (report.verify.has_value() && report.verify->result.wrong > 0) {
    return report.verify->result.first_wrong;
  }
  absl::Status status = JudgeErrors(report);
  if (!status.ok()) return status;
  if (report.peak.has_value()) {
    if (report.peak->client_limited) {
      return WithExitCode(absl::AbortedError("the peak is this client's; more --channels, or less "
                                             "on its CPUs, may help"),
                          kBehindSchedule);
    }
    return report.peak->held.has_value() || interrupted
               ? absl::OkStatus()
               : absl::OutOfRangeError("no rate holds the limit");
  }
  for (const LoadResult& step : report.steps) {
    if (!step.KeptSchedule()) {
      return WithExitCode(absl::AbortedError(BehindScheduleText(step)), kBehindSchedule);
    }
  }
  return absl::OkStatus();
}

absl::Status WriteFiles(const LoadReport& report) {
  absl::Status status;
  if (const std::string path = absl::GetFlag(FLAGS_csv); !path.empty()) {
    status.Update(WriteFileWhole(path, {LoadReportCsv(report)}));
  }
  if (const std::string path = absl::GetFlag(FLAGS_report); !path.empty()) {
    status.Update(WriteFileWhole(path, {LoadPage(report)}));
  }
  return status;
}

// Without a single answer there is nothing to report but the first error, unless that is allowed.
absl::Status NothingAnswered(const LoadReport& report) {
  const StatusCodesFlag allowed = absl::GetFlag(FLAGS_allow_errors);
  absl::Status first;
  for (const LoadResult& step : report.steps) {
    const absl::Status& error = step.counts.first_error;
    if (step.counts.ok > 0 || (!error.ok() && allowed.Has(error.code()))) return absl::OkStatus();
    first.Update(error);
  }
  if (!first.ok()) return first;
  // A load may also be too short, or its rate too low, for any request.
  return interrupted ? absl::CancelledError("ended before the first answer")
                     : absl::OutOfRangeError("no request was due within --duration");
}

absl::Status Run(const std::string& /*argument*/) {
  LoadReport report;
  report.workload = WorkloadFromFlags();
  report.channels = absl::GetFlag(FLAGS_channels);
  const absl::StatusOr<LoadFiles> files = OpenLoadFiles(&report.workload);
  if (!files.ok()) return files.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  StopOnInterrupt();
  absl::Status status = AskForStatus(**client, &report.machines);
  if (!status.ok()) return status;
  absl::StatusOr<LoadKeySets> key_sets =
      LoadKeySets::Prepare(client->get(), *files, &interrupted, &report.workload);
  if (!key_sets.ok()) return key_sets.status();
  if (!key_sets->references().empty()) report.key_set = key_sets->references()[0].name;

  status = SendLoads(*files, *key_sets, &report);
  // Before anything is shown: who reads it may go.
  const absl::Status removed = key_sets->Remove();
  if (status.ok()) status = NothingAnswered(report);
  if (!status.ok()) return status;
  status = ShowAnswer(LoadReportText(report), LoadReportJson(report));
  status.Update(WriteFiles(report));
  status.Update(removed);
  status.Update(Judge(report));
  return status;
}

constexpr absl::string_view kDetails =
    R"(A closed loop (--concurrency) shows what the server can do; an open loop (--rate) shows what users
see, since they come whether the server keeps up or not. Latency is then counted from the time at
which a request was due. docs/load.md has the terms. Keys travel with each request unless there is
a key set: one of the server's (--key_set), or some made for this load and removed at its end
(--make_key_set, --key_sets, resident workloads; from --keys where given). Ctrl-C ends it early with
the report of what ran.
Exit codes: 1 requests failed (see --allow_errors) or were answered wrong (--verify), 3 the load that
was asked for could not be sent.
)";

constexpr absl::string_view kMoreExamples =
    R"(  qkctl load --rate=500 --workload=resident-top --duration=1m --report=load.html
  qkctl load --concurrency=1:256:x2 --duration=5s --workload=inline-small --csv=load.csv
  qkctl load --rate=10:2000 --key_set=items --n=1 --output=top_k --top_k=10
  qkctl load --find_peak --latency_limit=p99:50ms --workload=resident-mixed --verify
  qkctl load --concurrency=64 --n=1 --make_key_set=10000,128,128 --output=context
)";

}  // namespace

Command LoadCommand() {
  Command command;
  command.name = "load";
  command.summary = "Keeps a server busy and reports throughput and latencies.";
  command.example = "qkctl load --concurrency=32 --duration=10s --n=16 --m=128 --d=64";
  command.details = kDetails;
  command.more_examples = kMoreExamples;
  command.flag_files = {kLoadFlagsFile,   kJsonFlagFile,    kKeySetFlagsFile, kOutputFlagsFile,
                        kQueriesFlagFile, kStorageFlagFile, kTensorFlagsFile};
  command.check_flags = &CheckLoadFlags;
  command.run = &Run;
  return command;
}

}  // namespace qkserve
