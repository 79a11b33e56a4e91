// Compares the packed kernel with OpenBLAS and with the memory limit, on one thread. All contenders
// take turns in random order (Google Benchmark's random interleaving). At the end a table shows the
// ratios of medians. The flags are those of Google Benchmark.

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "bench/openblas.h"
#include "bench/program.h"
#include "bench/statistics.h"
#include "bench/sum_pass.h"
#include "benchmark/benchmark.h"
#include "core/kernels/blas.h"
#include "core/kernels/blas_kernel.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/panels.h"
#include "core/scoring/limits.h"
#include "core/scoring/online_softmax.h"
#include "tools/load/random_source.h"

namespace qkserve::bench {
namespace {

constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kBfloat16, DataType::kFloat16};
constexpr int64_t kStepPanels = kStepKeys / kPanelKeys;

// Memory for all contenders, in huge pages if the system has them. With small pages every figure
// depends on the physical addresses of the pages.
class HugeBuffer {
 public:
  explicit HugeBuffer(size_t bytes) : buffer_(Buffer::AllocateZeroed(bytes).value()) {
    std::memset(data(), 0, bytes);
  }

  std::byte* data() { return buffer_.data(); }
  float* floats() { return reinterpret_cast<float*>(data()); }
  absl::Span<float> floats(int64_t count) { return {floats(), static_cast<size_t>(count)}; }

 private:
  Buffer buffer_;
};

// Keys [m, d] as rows and packed, in every type. Up to rows_max queries, and their scores.
struct KeySet {
  int64_t m;
  int64_t d;
  int64_t panels;
  HugeBuffer queries;
  HugeBuffer rows;
  HugeBuffer scores;
  std::map<DataType, HugeBuffer> rows_of;
  std::map<DataType, HugeBuffer> packed;

  KeySet(int64_t m_in, int64_t d_in, int64_t rows_max)
      : m(m_in),
        d(d_in),
        panels((m + kPanelKeys - 1) / kPanelKeys),
        queries(rows_max * d * 4),
        rows(m * d * 4),
        scores(rows_max * panels * kPanelKeys * 4) {
    FillRandom(1, 0, queries.floats(rows_max * d));
    FillRandom(2, 0, rows.floats(m * d));
    for (const DataType type : kTypes) {
      HugeBuffer& typed = rows_of.try_emplace(type, m * d * ElementBytes(type)).first->second;
      ConvertFromFloat32(type, rows.floats(), m * d, typed.data());
      packed.try_emplace(type, panels * KeyPanelBytes(type, d));
      PackAll(type);
    }
  }

  void PackAll(DataType type) {
    const std::byte* from = rows_of.at(type).data();
    std::byte* to = packed.at(type).data();
    for (int64_t j = 0; j < m; j += kPanelKeys) {
      PackKeys(type, from + j * d * ElementBytes(type), std::min(kPanelKeys, m - j), d, 0,
               to + j / kPanelKeys * KeyPanelBytes(type, d));
    }
  }

  // Multiplies one step of panels and one block of rows at a time, as the server does. With
  // `whole_matrix` the scores of all steps are kept. Otherwise each step overwrites the scores of
  // the last step, as if they had been reduced.
  void MultiplyPacked(DataType type, int64_t n, bool whole_matrix) {
    const int64_t stride = (whole_matrix ? panels : kStepPanels) * kPanelKeys;
    for (int64_t panel = 0; panel < panels; panel += kStepPanels) {
      const KeyPanels keys = {type, packed.at(type).data() + panel * KeyPanelBytes(type, d),
                              std::min(kStepPanels, panels - panel), d};
      for (int64_t i = 0; i < n; i += kBlockRows) {
        float* out =
            whole_matrix ? scores.floats() + i * stride + panel * kPanelKeys : scores.floats();
        MultiplyPanels(queries.floats() + i * d, std::min(kBlockRows, n - i), keys, out, stride);
      }
    }
    benchmark::ClobberMemory();
  }
};

// Values [m, columns], and weights for up to rows_max rows.
struct ValueSet {
  int64_t m;
  int64_t columns;
  HugeBuffer weights;
  HugeBuffer rows;
  HugeBuffer sums;
  std::map<DataType, HugeBuffer> packed;

  ValueSet(int64_t m_in, int64_t columns_in, int64_t rows_max)
      : m(m_in),
        columns(columns_in),
        weights(rows_max * kStepKeys * 4),
        rows(m * columns * 4),
        sums(ContextSumBytes(rows_max, columns) + ContextInfinityBytes(rows_max, columns)) {
    FillRandom(1, 0, weights.floats(rows_max * kStepKeys));
    FillRandom(2, 0, rows.floats(m * columns));
    std::vector<std::byte> typed(static_cast<size_t>(m * columns * 4));
    for (const DataType type : kTypes) {
      ConvertFromFloat32(type, rows.floats(), m * columns, typed.data());
      const int64_t panel_bytes = ValuePanelBytes(type, columns);
      HugeBuffer& panels = packed.try_emplace(type, m / kPanelKeys * panel_bytes).first->second;
      for (int64_t j = 0; j < m; j += kPanelKeys) {
        PackValues(type, typed.data() + j * columns * ElementBytes(type), kPanelKeys, columns, 0,
                   panels.data() + j / kPanelKeys * panel_bytes);
      }
    }
  }

  void AddPacked(DataType type, int64_t n) {
    for (int64_t j = 0; j < m; j += kStepKeys) {
      const ValuePanels values = {
          type, packed.at(type).data() + j / kPanelKeys * ValuePanelBytes(type, columns), columns};
      AddWeightedPanels(
          weights.floats(), kStepKeys, n, values, kStepKeys,
          ContextSumsAt(sums.data(), sums.data() + ContextSumBytes(n, columns), n, columns));
    }
    benchmark::ClobberMemory();
  }

  void AddBlas(int64_t n) {
    for (int64_t j = 0; j < m; j += kStepKeys) {
      WeighValuesInOneCall(weights.floats(), rows.floats() + j * columns, sums.floats(),
                           {n, kStepKeys, columns});
    }
    benchmark::ClobberMemory();
  }
};

// Keeps the CPU times of the thread for the table at the end.
class Reporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration && run.iterations > 0) {
        // CPU time is used, not real time, because the thread may share its CPU.
        seconds_[run.run_name.function_name].push_back(run.cpu_accumulated_time /
                                                       static_cast<double>(run.iterations));
      }
    }
  }

  // Returns the median seconds of a benchmark, or NaN if it did not run.
  double Seconds(const std::string& name) const {
    const auto found = seconds_.find(name);
    return Median(found == seconds_.end() ? std::vector<double>() : found->second);
  }

 private:
  std::map<std::string, std::vector<double>> seconds_;
};

void Register(const std::string& name, const std::function<void()>& run) {
  benchmark::RegisterBenchmark(name.c_str(), [run](benchmark::State& state) {
    for (auto _ : state) run();
  });
}

std::string Name(int64_t m, int64_t d, int64_t n, absl::string_view contender) {
  return absl::StrCat("m=", m, " d=", d, " n=", n, " ", contender);
}
std::string Name(int64_t m, int64_t d, int64_t n, absl::string_view contender, DataType type) {
  return Name(m, d, n, absl::StrCat(contender, " ", DataTypeName(type)));
}

// The most rows that are measured with sgemv, query by query. sgemv loses to sgemm at far fewer
// rows.
constexpr int64_t kGemvRowsMax = 16;
constexpr int64_t kRows[] = {1, 4, 16, 64, 256, 1024};
constexpr int64_t kWeightRows[] = {1, 4, 16, 128};

void RegisterScores(KeySet& set) {
  const int64_t m = set.m;
  const int64_t d = set.d;
  for (const int64_t n : kRows) {
    if (n <= kGemvRowsMax) {
      Register(Name(m, d, n, "sgemv"), [&set, n] {
        for (int64_t i = 0; i < n; ++i) {
          ComputeScoresInOneCall(set.queries.floats() + i * set.d, set.rows.floats(),
                                 set.scores.floats() + i * set.m, {1, set.m, set.d});
        }
      });
    }
    if (n > 1) {
      Register(Name(m, d, n, "sgemm"), [&set, n] {
        ComputeScoresInOneCall(set.queries.floats(), set.rows.floats(), set.scores.floats(),
                               {n, set.m, set.d});
      });
    }
    for (const DataType type : kTypes) {
      Register(Name(m, d, n, "matrix", type),
               [&set, n, type] { set.MultiplyPacked(type, n, true); });
      Register(Name(m, d, n, "steps", type),
               [&set, n, type] { set.MultiplyPacked(type, n, false); });
    }
  }
  for (const DataType type : kTypes) {
    const int64_t floats = set.panels * KeyPanelBytes(type, d) / 4;
    Register(Name(m, d, 0, "sum", type), [&set, type, floats] {
      benchmark::DoNotOptimize(SumPass(set.packed.at(type).floats(), floats));
    });
    Register(Name(m, d, 0, "pack", type), [&set, type] { set.PackAll(type); });
    Register(Name(m, d, 0, "copy", type), [&set, type] {
      std::memcpy(set.scores.data(), set.rows_of.at(type).data(),
                  static_cast<size_t>(set.m * set.d * ElementBytes(type)));
      benchmark::ClobberMemory();
    });
  }
}

void RegisterValues(ValueSet& set) {
  for (const int64_t n : kWeightRows) {
    Register(Name(set.m, set.columns, n, "weighted blas"), [&set, n] { set.AddBlas(n); });
    for (const DataType type : kTypes) {
      Register(Name(set.m, set.columns, n, "weighted", type),
               [&set, n, type] { set.AddPacked(type, n); });
    }
  }
}

// The name of the benchmark that measures the upper limit of every kernel.
constexpr char kPeakName[] = "peak";
constexpr int64_t kPeakRounds = 20000;

void PrintScores(const Reporter& times, int64_t m, int64_t d) {
  absl::PrintF(
      "\nScores, m=%d d=%d: milliseconds; ratios are rates over that of the better of\n"
      "sgemv query by query and sgemm\n",
      m, d);
  absl::PrintF("%4s %8s %7s %7s %7s %5s | %8s %7s %8s | %s\n", "n", "sgemv", "sgemm", "float32",
               "GFLOP/s", "ratio", "bfloat16", "float16", "in steps", "target");
  for (const int64_t n : kRows) {
    const double sgemv = times.Seconds(Name(m, d, n, "sgemv"));
    const double sgemm = times.Seconds(Name(m, d, n, "sgemm"));
    const double blas = std::fmin(sgemv, sgemm);
    const double packed = times.Seconds(Name(m, d, n, "matrix", DataType::kFloat32));
    const auto ratio = [&](absl::string_view contender, DataType type) {
      return blas / times.Seconds(Name(m, d, n, contender, type));
    };
    const double target = n == 1 ? 1.0 : n <= 16 ? 2.0 : n <= 64 ? 1.1 : 1.0;
    absl::PrintF("%4d %8.3f %7.3f %7.3f %7.1f %5.2f | %8.2f %7.2f %8.2f | %6.1f\n", n, sgemv * 1e3,
                 sgemm * 1e3, packed * 1e3, 2e-9 * static_cast<double>(n * m * d) / packed,
                 blas / packed, ratio("matrix", DataType::kBfloat16),
                 ratio("matrix", DataType::kFloat16), ratio("steps", DataType::kFloat32), target);
  }
  for (const DataType type : kTypes) {
    const double sum = times.Seconds(Name(m, d, 0, "sum", type));
    const double one = times.Seconds(Name(m, d, 1, "matrix", type));
    const double float32 = times.Seconds(Name(m, d, 1, "matrix", DataType::kFloat32));
    const double pack = times.Seconds(Name(m, d, 0, "pack", type));
    const double copy = times.Seconds(Name(m, d, 0, "copy", type));
    absl::PrintF(
        "%-8s one query: rate / sum of the same bytes %.2f (target 0.9; sum %.1f GB/s)\n"
        "         rate / float32 %.2f%s; packing %.3f ms, rate / memcpy %.2f\n",
        std::string(DataTypeName(type)), sum / one,
        static_cast<double>(m * d * ElementBytes(type)) / sum / 1e9, float32 / one,
        type == DataType::kBfloat16 ? " (target 1.6)" : "", pack * 1e3, copy / pack);
  }
}

void PrintValues(const Reporter& times, int64_t m, int64_t columns) {
  absl::PrintF("\nWeighted values, m=%d columns=%d: milliseconds, and rates over OpenBLAS's\n", m,
               columns);
  absl::PrintF("%6s %9s %9s %7s %8s %8s\n", "n", "OpenBLAS", "float32", "ratio", "bfloat16",
               "float16");
  for (const int64_t n : kWeightRows) {
    const double blas = times.Seconds(Name(m, columns, n, "weighted blas"));
    const auto seconds = [&](DataType type) {
      return times.Seconds(Name(m, columns, n, "weighted", type));
    };
    absl::PrintF("%6d %9.3f %9.3f %7.2f %8.2f %8.2f\n", n, blas * 1e3,
                 seconds(DataType::kFloat32) * 1e3, blas / seconds(DataType::kFloat32),
                 blas / seconds(DataType::kBfloat16), blas / seconds(DataType::kFloat16));
  }
}

int Main(int argc, char** argv) {
  OrDie(SelectKernelsOrReexec("auto", argv));
  // Defaults, which flags override.
  std::string defaults[] = {"--benchmark_enable_random_interleaving=true",
                            "--benchmark_repetitions=9", "--benchmark_min_time=0.03"};
  std::vector<char*> arguments = {argv[0]};
  for (std::string& argument : defaults) arguments.push_back(argument.data());
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;

  KeySet large(10000, 768, kRows[5]);
  KeySet small(4096, 128, kRows[5]);
  ValueSet values(4096, 128, kWeightRows[3]);
  ValueSet wide_values(4096, 512, kWeightRows[3]);
  RegisterScores(large);
  RegisterScores(small);
  RegisterValues(values);
  RegisterValues(wide_values);
  Register(kPeakName, [] {
    float sink = 0;
    benchmark::DoNotOptimize(MultiplyAddPass(kPeakRounds, &sink));
    benchmark::DoNotOptimize(sink);
  });
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  absl::PrintF("packed kernel %s, OpenBLAS kernel %s, one thread\n",
               std::string(PackedKernelName()), BlasKernelName());
  float sink = 0;
  absl::PrintF("multiply-adds alone, on registers: %.1f GFLOP/s\n",
               2e-9 * static_cast<double>(MultiplyAddPass(kPeakRounds, &sink)) /
                   reporter.Seconds(kPeakName));
  PrintScores(reporter, large.m, large.d);
  PrintScores(reporter, small.m, small.d);
  PrintValues(reporter, values.m, values.columns);
  PrintValues(reporter, wide_values.m, wide_values.columns);
  return 0;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) { return qkserve::bench::Main(argc, argv); }
