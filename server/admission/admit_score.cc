#include "server/admission/admit_score.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/key_sets/key_set.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/score_shape.h"
#include "server/admission/field_error.h"
#include "server/admission/score_options.h"
#include "server/limits.h"

namespace qkserve {
namespace {

// Copies of its results that a call holds at the same time: computed, in the response message, and
// serialised by gRPC.
constexpr int64_t kResultCopies = 3;

// Bytes of a tensor of `shape`; nullopt where 64 bits do not suffice.
std::optional<int64_t> TensorBytes(absl::Span<const int64_t> shape, int64_t element_bytes) {
  const std::optional<int64_t> elements = ElementCount(shape);
  int64_t bytes = 0;
  if (!elements.has_value() || __builtin_mul_overflow(*elements, element_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

absl::StatusOr<std::shared_ptr<const KeySet>> FindKeySet(const ScoreCall& call,
                                                         const KeySetStore& key_sets) {
  const KeySetQuery& query = *call.key_set;
  if (call.keys.has_value() || call.values.has_value()) {
    return FieldError(call.keys.has_value() ? call.names->keys : call.names->values, "a tensor",
                      absl::StrCat("none beside a ", call.names->key_set));
  }
  absl::StatusOr<std::shared_ptr<const KeySet>> key_set = key_sets.Find(query.name);
  if (!key_set.ok()) return key_set;
  if (query.version.has_value() && *query.version != (*key_set)->version()) {
    return absl::FailedPreconditionError(absl::StrCat(call.names->key_set_version, ": got ",
                                                      *query.version, ", key set ", query.name,
                                                      " is at ", (*key_set)->version()));
  }
  if (call.output == Output::kContext && !(*key_set)->layout().dv.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(call.names->key_set, ": ", query.name,
                                                      " has no values, which the output CONTEXT "
                                                      "needs"));
  }
  return key_set;
}

// The keys of a call: a key set, or a tensor that is moved into the problem. Null: a tensor.
absl::StatusOr<std::shared_ptr<const KeySet>> AdmitKeys(ScoreCall& call,
                                                        const KeySetStore& key_sets,
                                                        AttentionProblem& problem) {
  if (call.key_set.has_value()) return FindKeySet(call, key_sets);
  if (!call.keys.has_value()) {
    return FieldError(call.names->keys, "none",
                      absl::StrCat("a tensor, or a ", call.names->key_set, " in its place"));
  }
  if (!call.keys->ok()) return call.keys->status();
  problem.keys = **std::move(call.keys);
  return std::shared_ptr<const KeySet>();
}

absl::Status CheckCounts(const ScoreShape& shape, Output output, absl::string_view keys_name) {
  // If d or m is 0 there may be any number of queries in no bytes.
  if (shape.Rows() > kScoresMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request has ", shape.Rows(), " queries, more than the limit of ", kScoresMax));
  }
  // MakeScoreShape has counted them.
  if (*ElementCount(shape.result) > kScoresMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the request has ", *ElementCount(shape.result), " scores ",
                     ShapeString(shape.result), ", more than the limit of ", kScoresMax));
  }
  constexpr int64_t kIndexMax = std::numeric_limits<int32_t>::max();
  if (output == Output::kTopK && shape.m > kIndexMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(keys_name, ".shape: got m = ", shape.m,
                     ", more keys than the int32 indices of TOP_K can name"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ScoreShape> AdmitShape(const ScoreCall& call, const AttentionProblem& problem,
                                      const KeySet* key_set) {
  const std::string keys_name =
      key_set != nullptr ? absl::StrCat("key set ", key_set->name()) : call.names->keys;
  absl::StatusOr<ScoreShape> shape =
      key_set != nullptr ? MakeScoreShape(call.names->queries, problem.queries.shape, keys_name,
                                          key_set->layout().KeyShape(key_set->m()))
                         : MakeScoreShape(call.names->queries, problem.queries.shape, keys_name,
                                          problem.keys.shape);
  if (!shape.ok()) return shape;
  const absl::Status status = CheckCounts(*shape, problem.output, keys_name);
  if (!status.ok()) return status;
  return shape;
}

absl::StatusOr<ResultLayout> LayOutResults(const ScoreTask& task, bool log_sum_exp,
                                           int64_t message_bytes_max) {
  const AttentionProblem& problem = task.problem();
  ResultLayout layout;
  layout.shape = task.shape().result;
  layout.shape.back() = ReducerOf(problem.output).ResultColumns(problem, task.source().sizes());
  const std::optional<int64_t> result =
      TensorBytes(layout.shape, ElementBytes(problem.result_type));
  const std::optional<int64_t> indices =
      problem.output == Output::kTopK ? TensorBytes(layout.shape, 4) : 0;
  const std::optional<int64_t> lse = log_sum_exp ? TensorBytes(layout.Rows(), 4) : 0;
  const int64_t bytes_max = message_bytes_max - kResponseOverheadBytesMax;
  const auto fits = [bytes_max](const std::optional<int64_t>& bytes) {
    return bytes.has_value() && *bytes <= bytes_max;
  };
  if (!fits(result) || !fits(indices) || !fits(lse) || *result + *indices + *lse > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the result would be ", DataTypeName(problem.result_type), " ",
                     ShapeString(layout.shape), ", which with ", kResponseOverheadBytesMax,
                     " bytes of framing is larger than message_bytes_max = ", message_bytes_max));
  }
  layout.result_bytes = *result;
  layout.indices_bytes = *indices;
  layout.log_sum_exp_bytes = *lse;
  layout.has_log_sum_exp = log_sum_exp;
  return layout;
}

}  // namespace

absl::StatusOr<ScoreBuffers> ScoreBuffers::Allocate(const ResultLayout& layout) {
  ScoreBuffers buffers;
  for (const auto& [buffer, bytes] : {std::pair(&buffers.result, layout.result_bytes),
                                      std::pair(&buffers.indices, layout.indices_bytes),
                                      std::pair(&buffers.log_sum_exp, layout.log_sum_exp_bytes)}) {
    absl::StatusOr<Buffer> allocated = Buffer::Allocate(static_cast<size_t>(bytes));
    if (!allocated.ok()) return allocated.status();
    *buffer = *std::move(allocated);
  }
  return buffers;
}

AttentionResults ScoreBuffers::Results() {
  return {.result = result.data(),
          .indices = reinterpret_cast<int32_t*>(indices.data()),
          .log_sum_exp = reinterpret_cast<float*>(log_sum_exp.data())};
}

ComputedScore AdmittedScore::Result() const {
  ComputedScore out;
  out.result = {task.problem().result_type, layout.shape, buffers.result.data(),
                layout.result_bytes};
  if (task.problem().output == Output::kTopK) {
    out.indices = {DataType::kInt32, layout.shape, buffers.indices.data(), layout.indices_bytes};
  }
  if (layout.has_log_sum_exp) {
    out.log_sum_exp = {DataType::kFloat32, layout.Rows(), buffers.log_sum_exp.data(),
                       layout.log_sum_exp_bytes};
  }
  out.kernel = kernel;
  return out;
}

absl::StatusOr<AdmittedScore> AdmitScore(ScoreCall call, const AdmissionOptions& options) {
  AttentionProblem problem;
  absl::Status status = AdmitOptions(call, problem);
  if (!status.ok()) return status;
  if (!call.queries.ok()) return call.queries.status();
  problem.queries = *std::move(call.queries);
  absl::StatusOr<std::shared_ptr<const KeySet>> key_set =
      AdmitKeys(call, *options.key_sets, problem);
  if (!key_set.ok()) return key_set.status();
  absl::StatusOr<ScoreShape> shape = AdmitShape(call, problem, key_set->get());
  if (!shape.ok()) return shape.status();
  status = AdmitShapedOptions(call, *shape, problem);
  if (!status.ok()) return status;
  ScoreTask task(std::move(problem), *std::move(shape), *std::move(key_set));
  absl::StatusOr<ResultLayout> layout =
      LayOutResults(task, call.log_sum_exp, options.message_bytes_max);
  if (!layout.ok()) return layout.status();
  absl::StatusOr<ByteBudget::Charge> charge = options.budget->TryCharge(
      call.request_bytes + task.StateBytes() + kResultCopies * layout->Bytes());
  if (!charge.ok()) return charge.status();
  absl::StatusOr<ScoreBuffers> buffers = ScoreBuffers::Allocate(*layout);
  if (!buffers.ok()) return buffers.status();
  status = task.Prepare(buffers->Results());
  if (!status.ok()) return status;

  JobSpec spec = task.MakeSpec(options.gflops_per_worker);
  spec.arrival = call.arrival;
  spec.deadline = call.deadline;
  const bool is_inline = task.key_set() == nullptr;
  return AdmittedScore{.task = std::move(task),
                       .layout = *std::move(layout),
                       .buffers = *std::move(buffers),
                       .charge = *std::move(charge),
                       .spec = spec,
                       .kernel = is_inline ? options.kernel : options.key_set_kernel};
}

}  // namespace qkserve
