// The cost of the stages after the scores, measured on a real qkserve in interleaved rounds:
//   context against cblas_sgemm for the scores alone, in process, on all CPUs;
//   context with a causal mask against context without;
//   the server's memory for a context whose score matrix would be 410 MB.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "base/flags.h"
#include "bench/child_process.h"
#include "bench/openblas.h"
#include "bench/program.h"
#include "bench/statistics.h"
#include "core/kernels/blas.h"
#include "core/kernels/blas_kernel.h"
#include "qkserve/client.h"
#include "tools/load/random_source.h"

namespace qkserve::bench {
namespace {

struct Options {
  std::string qkserve;  // the program; empty: the one beside this
  int rounds = 15;      // of each comparison
};

// Self-attention-like inputs: Q [n, d], K and V [m, d].
struct Inputs {
  int64_t n, m, d;
  std::vector<float> q, k, v;

  Inputs(int64_t n_in, int64_t m_in, int64_t d_in)
      : n(n_in), m(m_in), d(d_in), q(n * d), k(m * d), v(m * d) {
    FillRandom(1, 0, absl::MakeSpan(q));
    FillRandom(2, 0, absl::MakeSpan(k));
    FillRandom(3, 0, absl::MakeSpan(v));
  }

  v1::ScoreRequest ContextRequest(bool is_causal) const {
    const auto view = [this](const std::vector<float>& values, int64_t rows) {
      return TensorView{
          DataType::kFloat32, {rows, d}, reinterpret_cast<const std::byte*>(values.data())};
    };
    ScoreOptions options;
    options.scale = 1.0F / std::sqrt(static_cast<float>(d));
    options.is_causal = is_causal;
    options.values = view(v, m);
    options.output = Output::kContext;
    return MakeScoreRequest(view(q, n), view(k, m), options);
  }
};

absl::StatusOr<double> ComputedMs(Client& client, const v1::ScoreRequest& request) {
  const absl::StatusOr<v1::ScoreResponse> response = client.Score(request, absl::Minutes(2));
  if (!response.ok()) return response.status();
  return static_cast<double>(response->receipt().computed_ns()) / 1e6;
}

// Medians over the rounds of two ways to spend milliseconds, one after the other in each round.
template <class A, class B>
absl::StatusOr<std::pair<double, double>> Interleave(int rounds, const A& a, const B& b) {
  std::vector<double> a_ms;
  std::vector<double> b_ms;
  for (int round = -1; round < rounds; ++round) {
    const absl::StatusOr<double> first = a();
    if (!first.ok()) return first.status();
    const absl::StatusOr<double> second = b();
    if (!second.ok()) return second.status();
    if (round < 0) continue;  // memory is touched for the first time
    a_ms.push_back(*first);
    b_ms.push_back(*second);
  }
  return std::pair(Median(a_ms), Median(b_ms));
}

absl::Status CompareWithSgemm(Client& client, int rounds) {
  const Inputs in(2048, 2048, 64);
  const v1::ScoreRequest request = in.ContextRequest(false);
  std::vector<float> scores(static_cast<size_t>(in.n * in.m));
  const auto context = [&] {
    // The first one after a pause finds sleeping CPUs.
    static_cast<void>(ComputedMs(client, request).status());
    return ComputedMs(client, request);
  };
  const auto sgemm = [&]() -> absl::StatusOr<double> {
    ComputeScoresInOneCall(in.q.data(), in.k.data(), scores.data(), {in.n, in.m, in.d});
    const auto start = std::chrono::steady_clock::now();
    ComputeScoresInOneCall(in.q.data(), in.k.data(), scores.data(), {in.n, in.m, in.d});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    // OpenBLAS's threads spin for a while after a call; they must not run beside the server.
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    return took.count();
  };
  const auto medians = Interleave(rounds, context, sgemm);
  if (!medians.ok()) return medians.status();
  const double operations = static_cast<double>(in.n * in.m * in.d);
  const double context_gflops = 4 * operations / medians->first / 1e6;
  const double sgemm_gflops = 2 * operations / medians->second / 1e6;
  absl::PrintF("context n=m=2048 d=dv=64: computed %.2f ms, %.1f GFLOP/s (4·n·m·d)\n",
               medians->first, context_gflops);
  absl::PrintF("  in-process cblas_sgemm for the scores: %.2f ms, %.1f GFLOP/s (2·n·m·d)\n",
               medians->second, sgemm_gflops);
  absl::PrintF("  rate / rate of cblas_sgemm: %.2f  (target >= 0.65)\n",
               context_gflops / sgemm_gflops);
  return absl::OkStatus();
}

absl::Status CompareCausal(Client& client, int rounds) {
  const Inputs in(8192, 8192, 64);
  const v1::ScoreRequest causal = in.ContextRequest(true);
  const v1::ScoreRequest full = in.ContextRequest(false);
  const auto medians = Interleave(
      rounds, [&] { return ComputedMs(client, causal); }, [&] { return ComputedMs(client, full); });
  if (!medians.ok()) return medians.status();
  absl::PrintF("context n=m=8192 d=dv=64: causal %.1f ms, full %.1f ms\n", medians->first,
               medians->second);
  absl::PrintF("  causal / full: %.2f  (target <= 0.60)\n", medians->first / medians->second);
  return absl::OkStatus();
}

// A field of /proc/PID/status in MB.
double ProcessMb(pid_t pid, absl::string_view field) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    double kib = 0;
    if (words.size() > 1 && words[0] == field && absl::SimpleAtod(words[1], &kib)) {
      return kib * 1024 / 1e6;
    }
  }
  return 0;
}

absl::Status MeasureMemory(const std::string& qkserve) {
  const absl::StatusOr<std::unique_ptr<ChildServer>> server =
      ChildServer::Start(QkserveCommand(qkserve), absl::Seconds(30));
  if (!server.ok()) return server.status();
  const auto client = Client::Create({.address = (*server)->address()});
  if (!client.ok()) return client.status();
  if (const auto status = (*client)->GetStatus(); !status.ok()) return status.status();
  const double idle_mb = ProcessMb((*server)->pid(), "VmRSS:");
  const v1::ScoreRequest request = Inputs(2048, 50000, 64).ContextRequest(false);
  for (int i = 0; i < 3; ++i) {
    if (const auto ms = ComputedMs(**client, request); !ms.ok()) return ms.status();
  }
  const double peak_mb = ProcessMb((*server)->pid(), "VmHWM:");
  absl::PrintF("context n=2048 m=50000 d=dv=64 (26 MB in; n·m would be 410 MB)\n");
  absl::PrintF("  peak memory over idle: %.0f MB  (target < 130)\n", peak_mb - idle_mb);
  return (*server)->Stop();
}

absl::Status Run(const Options& options) {
  const absl::StatusOr<ProgramPaths> paths = FindPrograms(options.qkserve);
  if (!paths.ok()) return paths.status();
  absl::StatusOr<std::unique_ptr<ChildServer>> server =
      ChildServer::Start(QkserveCommand(paths->qkserve), absl::Seconds(30));
  if (!server.ok()) return server.status();
  const auto client = Client::Create({.address = (*server)->address()});
  if (!client.ok()) return client.status();
  const auto status = (*client)->GetStatus();
  if (!status.ok()) return status.status();
  absl::PrintF("kernel %s, %d workers; medians of %d interleaved rounds\n", status->kernel(),
               status->workers(), options.rounds);
  SetBlasThreads(static_cast<int>(status->workers()));
  absl::Status result = CompareWithSgemm(**client, options.rounds);
  if (result.ok()) result = CompareCausal(**client, std::min(options.rounds, 9));
  result.Update((*server)->Stop());
  if (result.ok()) result = MeasureMemory(paths->qkserve);
  return result;
}

int Main(int argc, char** argv) {
  Options options;
  Flags flags("Measures the stages of attention after the scores.\n");
  flags.Add("qkserve", &options.qkserve,
            "The qkserve program; the one beside this program if empty");
  flags.Add("rounds", &options.rounds, "Rounds of each comparison");
  const std::optional<int> exit_code = flags.ParseMain(argc, argv, [&options] {
    return options.rounds >= 1 ? absl::OkStatus()
                               : absl::InvalidArgumentError("--rounds must be 1 or more");
  });
  if (exit_code.has_value()) return *exit_code;
  absl::Status status = EnsureBlasKernel("auto", argv);
  if (status.ok()) status = Run(options);
  if (!status.ok()) absl::FPrintF(stderr, "error: %s\n", status.ToString());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) { return qkserve::bench::Main(argc, argv); }
