#include "tools/load/workload.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/invalid_argument.h"
#include "tools/load/answer_check.h"

namespace qkserve {
namespace {

// Returns the bytes of a float32 tensor, or INT64_MAX if the number does not fit.
int64_t MatrixBytes(const Shape& leading, int64_t rows, int64_t columns) {
  Shape shape = leading;
  shape.insert(shape.end(), {rows, columns});
  const std::optional<int64_t> count = ElementCount(shape);
  int64_t bytes = 0;
  if (!count.has_value() || __builtin_mul_overflow(*count, 4, &bytes)) return INT64_MAX;
  return bytes;
}

int64_t SaturatingSum(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// Returns the bytes of the result. Returns 0 for the context of an existing key set, because only
// the server knows the dv of this set.
int64_t ResultBytes(const LoadWorkload& workload) {
  const int64_t columns =
      AnswerColumns(workload.output, workload.top_k, workload.m, workload.dv.value_or(0));
  const int64_t bytes = MatrixBytes(workload.leading, workload.n, columns);
  return workload.output == Output::kTopK ? SaturatingSum(bytes, bytes) : bytes;  // and the keys
}

}  // namespace

absl::Span<const LoadWorkload> StandardWorkloads() {
  constexpr auto kNone = std::nullopt;
  // The fields are name, n, m, d, dv, output, top_k, resident, key_sets and zipf.
  static const auto* const workloads = new std::vector<LoadWorkload>{
      {"tiny", 1, 16, 64},
      {"inline-small", 16, 128, 64},
      {"inline-large", 128, 4096, 256},
      {"inline-square", 1024, 1024, 1024},
      {"resident-row", 1, 10000, 768, kNone, Output::kScores, 0, true},
      {"resident-top", 1, 10000, 768, kNone, Output::kTopK, 10, true},
      {"resident-large", 1, 100000, 768, kNone, Output::kTopK, 10, true},
      {"resident-context", 1, 10000, 128, 128, Output::kContext, 0, true},
      {"resident-mixed", 1, 10000, 768, kNone, Output::kTopK, 10, true, 8, 1.0},
      {"resident-heavy", 64, 20000, 768, kNone, Output::kTopK, 10, true}};
  return *workloads;
}

std::string StandardWorkloadNames() {
  return absl::StrJoin(StandardWorkloads(), ", ",
                       [](std::string* out, const LoadWorkload& w) { out->append(w.name); });
}

const LoadWorkload* FindStandardWorkload(absl::string_view name) {
  for (const LoadWorkload& workload : StandardWorkloads()) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

LoadWorkload WithKeySet(LoadWorkload workload, const KeySetInfo& info) {
  const Shape& shape = info.keys.shape;
  // The server may send any shape. A rank below 2 means no keys.
  const size_t rank = std::max<size_t>(shape.size(), 2);
  workload.m = shape.size() < 2 ? 0 : shape[rank - 2];
  workload.d = shape.size() < 2 ? 0 : shape[rank - 1];
  if (shape.size() > 2) workload.leading.assign(shape.begin(), shape.end() - 2);
  return workload;
}

int64_t RequestBytes(const LoadWorkload& workload) {
  const int64_t queries = MatrixBytes(workload.leading, workload.n, workload.d);
  if (workload.resident) return queries;
  return SaturatingSum(SaturatingSum(queries, MatrixBytes({}, workload.m, workload.d)),
                       MatrixBytes({}, workload.m, workload.dv.value_or(0)));
}

absl::Status CheckSizes(const LoadWorkload& workload, int64_t message_bytes_max) {
  if (workload.n < 0 || workload.m < 0 || workload.d < 0 || workload.dv.value_or(0) < 0) {
    return InvalidArgument("--n, --m and --d must be 0 or more; were ", workload.n, ", ",
                           workload.m, " and ", workload.d);
  }
  if (RequestBytes(workload) > message_bytes_max) {
    return InvalidArgument("n=", workload.n, " m=", workload.m, " d=", workload.d,
                           " make a request larger than --message_bytes_max=", message_bytes_max);
  }
  if (ResultBytes(workload) > message_bytes_max) {
    return InvalidArgument("n=", workload.n, " m=", workload.m,
                           " make a result larger than --message_bytes_max=", message_bytes_max);
  }
  return absl::OkStatus();
}

}  // namespace qkserve
