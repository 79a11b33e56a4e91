// Measures the cost of the stages after the scores, on a real qkserve in interleaved rounds:
//   context against cblas_sgemm for the scores alone, in process, on all CPUs;
//   context with a causal mask against context without;
//   the server's memory for a context whose score matrix would be 410 MB.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
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
#include "tools/report/text_table.h"

namespace qkserve::bench {
namespace {

struct Options {
  std::string qkserve;  // path of the program; empty: the qkserve beside this program
  int rounds = 15;      // rounds of each comparison
};

// Inputs like those of self-attention: Q [n, d], K and V [m, d].
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

double ComputedMs(Client& client, const v1::ScoreRequest& request) {
  return OrDie(client.Score(request, absl::Minutes(2))).receipt().computed_ns() / 1e6;
}

// Compares two measurements in milliseconds. Each round calls `a` and then `b`. Returns the medians
// over the rounds.
template <class A, class B>
std::pair<double, double> Interleave(int rounds, const A& a, const B& b) {
  std::vector<double> a_ms, b_ms;
  for (int round = -1; round < rounds; ++round) {
    const double first = a();
    const double second = b();
    if (round < 0) continue;  // the first round touches memory for the first time
    a_ms.push_back(first);
    b_ms.push_back(second);
  }
  return {Median(a_ms), Median(b_ms)};
}

void CompareWithSgemm(Client& client, int rounds) {
  const Inputs in(2048, 2048, 64);
  const v1::ScoreRequest request = in.ContextRequest(false);
  std::vector<float> scores(static_cast<size_t>(in.n * in.m));
  const auto context = [&] {
    // The first request after a pause is not counted, because it finds sleeping CPUs.
    ComputedMs(client, request);
    return ComputedMs(client, request);
  };
  const auto sgemm = [&] {
    ComputeScoresInOneCall(in.q.data(), in.k.data(), scores.data(), {in.n, in.m, in.d});
    const auto start = std::chrono::steady_clock::now();
    ComputeScoresInOneCall(in.q.data(), in.k.data(), scores.data(), {in.n, in.m, in.d});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    // The threads of OpenBLAS spin for a while after a call. They must not run beside the server.
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    return took.count();
  };
  const auto [context_ms, sgemm_ms] = Interleave(rounds, context, sgemm);
  const double operations = static_cast<double>(in.n * in.m * in.d);
  const double context_gflops = 4 * operations / context_ms / 1e6;
  const double sgemm_gflops = 2 * operations / sgemm_ms / 1e6;
  absl::PrintF("context n=m=2048 d=dv=64: computed %.2f ms, %.1f GFLOP/s (4·n·m·d)\n", context_ms,
               context_gflops);
  absl::PrintF("  cblas_sgemm in process, the scores: %.2f ms, %.1f GFLOP/s (2·n·m·d)\n", sgemm_ms,
               sgemm_gflops);
  absl::PrintF("  rate / rate of cblas_sgemm: %.2f  (target >= 0.65)\n",
               context_gflops / sgemm_gflops);
}

void CompareCausal(Client& client, int rounds) {
  const Inputs in(8192, 8192, 64);
  const v1::ScoreRequest causal = in.ContextRequest(true);
  const v1::ScoreRequest full = in.ContextRequest(false);
  const auto [causal_ms, full_ms] = Interleave(
      rounds, [&] { return ComputedMs(client, causal); }, [&] { return ComputedMs(client, full); });
  absl::PrintF("context n=m=8192 d=dv=64: causal %.1f ms, full %.1f ms\n", causal_ms, full_ms);
  absl::PrintF("  causal / full: %.2f  (target <= 0.60)\n", causal_ms / full_ms);
}

void MeasureMemory(const std::string& qkserve) {
  const auto server = OrDie(ChildServer::Start(QkserveCommand(qkserve), absl::Seconds(30)));
  const auto client = OrDie(Client::Create({.address = server->address()}));
  OrDie(client->GetStatus());
  const double idle_mb = server->MemoryMb("VmRSS:");
  const v1::ScoreRequest request = Inputs(2048, 50000, 64).ContextRequest(false);
  for (int i = 0; i < 3; ++i) ComputedMs(*client, request);
  const double peak_mb = server->MemoryMb("VmHWM:");
  absl::PrintF("context n=2048 m=50000 d=dv=64 (26 MB in; n·m would be 410 MB)\n");
  absl::PrintF("  peak memory over idle: %.0f MB  (target < 130)\n", peak_mb - idle_mb);
  OrDie(server->Stop());
}

void Run(const Options& options) {
  const std::string qkserve = OrDie(FindPrograms(options.qkserve)).qkserve;
  {
    const auto server = OrDie(ChildServer::Start(QkserveCommand(qkserve), absl::Seconds(30)));
    const auto client = OrDie(Client::Create({.address = server->address()}));
    const v1::GetStatusResponse status = OrDie(client->GetStatus());
    absl::PrintF("kernel %s, %s; medians of %s\n", status.kernel(),
                 CountText(status.workers(), "worker"),
                 CountText(options.rounds, "interleaved round"));
    SetBlasThreads(static_cast<int>(status.workers()));
    CompareWithSgemm(*client, options.rounds);
    CompareCausal(*client, std::min(options.rounds, 9));
    OrDie(server->Stop());
  }
  MeasureMemory(qkserve);
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
  OrDie(SelectKernelsOrReexec("auto", argv));
  Run(options);
  return 0;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) { return qkserve::bench::Main(argc, argv); }
