#include "tools/load/workload.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// Bytes of float32 elements; INT64_MAX if the number does not fit.
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

// 0 for context of a key set that was there: dv is the server's to know.
int64_t ResultBytes(const LoadWorkload& workload) {
  switch (workload.output) {
    case Output::kContext:
      return MatrixBytes(workload.leading, workload.n, workload.dv.value_or(0));
    case Output::kTopK:
      return SaturatingSum(MatrixBytes(workload.leading, workload.n, workload.top_k),
                           MatrixBytes(workload.leading, workload.n, workload.top_k));
    default:
      return MatrixBytes(workload.leading, workload.n, workload.m);
  }
}

}  // namespace

absl::Span<const LoadWorkload> StandardWorkloads() {
  static const auto* const workloads = new std::vector<LoadWorkload>{
      {.name = "inline-small", .n = 16, .m = 128, .d = 64},
      {.name = "inline-large", .n = 128, .m = 4096, .d = 256},
      {.name = "inline-square", .n = 1024, .m = 1024, .d = 1024},
      {.name = "resident-row", .n = 1, .m = 10000, .d = 768, .resident = true},
      {.name = "resident-top",
       .n = 1,
       .m = 10000,
       .d = 768,
       .output = Output::kTopK,
       .top_k = 10,
       .resident = true},
      {.name = "resident-context",
       .n = 1,
       .m = 10000,
       .d = 128,
       .dv = 128,
       .output = Output::kContext,
       .resident = true},
      {.name = "resident-mixed",
       .n = 1,
       .m = 10000,
       .d = 768,
       .output = Output::kTopK,
       .top_k = 10,
       .resident = true,
       .key_sets = 8,
       .zipf = 1.0},
      {.name = "resident-heavy",
       .n = 64,
       .m = 20000,
       .d = 768,
       .output = Output::kTopK,
       .top_k = 10,
       .resident = true}};
  return *workloads;
}

const LoadWorkload* FindStandardWorkload(absl::string_view name) {
  for (const LoadWorkload& workload : StandardWorkloads()) {
    if (workload.name == name) return &workload;
  }
  return nullptr;
}

LoadWorkload WithKeySet(LoadWorkload workload, const KeySetInfo& info) {
  const Shape& shape = info.keys.shape;
  // The server may be any: what has no matrix has no keys.
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
    return absl::InvalidArgumentError(absl::StrCat("--n, --m and --d must be 0 or more; were ",
                                                   workload.n, ", ", workload.m, " and ",
                                                   workload.d));
  }
  if (RequestBytes(workload) > message_bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("n=", workload.n, " m=", workload.m, " d=", workload.d,
                     " make a request larger than --message_bytes_max=", message_bytes_max));
  }
  if (ResultBytes(workload) > message_bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrCat("n=", workload.n, " m=", workload.m,
                     " make a result larger than --message_bytes_max=", message_bytes_max));
  }
  return absl::OkStatus();
}

}  // namespace qkserve
