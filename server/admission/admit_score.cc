#include "server/admission/admit_score.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set.h"
#include "core/scoring/inline_keys.h"
#include "core/scoring/limits.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/score_cost.h"
#include "core/scoring/score_pass.h"
#include "server/access/permitted_key_sets.h"
#include "server/admission/field_error.h"
#include "server/limits.h"

namespace qkserve {
namespace {

// The copies of a call's results that are held at the same time: computed, in the response message,
// and serialised by gRPC.
constexpr int64_t kResultCopies = 3;

absl::StatusOr<std::shared_ptr<const KeySet>> FindKeySet(const ScoreCall& call,
                                                         const KeySetStore& key_sets) {
  if (call.has_keys() || call.problem.values.has_value()) {
    return FieldError(call.has_keys() ? call.names->keys : call.names->values, "a tensor",
                      absl::StrCat("none beside a ", call.names->key_set));
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const KeySet> key_set,
                   PermittedKeySets(&key_sets, call.permissions).FindToScore(*call.key_set));
  if (call.key_set_version.value_or(key_set->version()) != key_set->version()) {
    return absl::FailedPreconditionError(
        absl::StrCat(call.names->key_set_version, ": got ", *call.key_set_version, ", key set ",
                     *call.key_set, " is at ", key_set->version()));
  }
  if (call.problem.output == Output::kContext && !key_set->layout().dv.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(call.names->key_set, ": ", *call.key_set,
                                                      " has no values, which the output CONTEXT "
                                                      "needs"));
  }
  return key_set;
}

absl::Status CheckCounts(const ScoreShape& shape, Output output, absl::string_view keys_name) {
  // If d or m is 0, a small request may have any number of queries.
  if (shape.Rows() > kScoresMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request has ", shape.Rows(), " queries, more than the limit of ", kScoresMax));
  }
  // ElementCount has a value, because MakeScoreShape has checked it.
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

absl::StatusOr<ScoreShape> AdmitShape(const ScoreCall& call, const KeySet* key_set) {
  const std::string keys_name =
      key_set != nullptr ? absl::StrCat("key set ", key_set->name()) : call.names->keys;
  const Shape set_keys = key_set != nullptr ? key_set->layout().KeyShape(key_set->m()) : Shape();
  ASSIGN_OR_RETURN(ScoreShape shape,
                   MakeScoreShape(call.names->queries, call.problem.queries.shape, keys_name,
                                  key_set != nullptr ? set_keys : call.problem.keys.shape));
  RETURN_IF_ERROR(CheckCounts(shape, call.problem.output, keys_name));
  return shape;
}

absl::Status CheckWindow(int64_t value, absl::string_view field) {
  if (value >= -1) return absl::OkStatus();
  return FieldError(field, value, "-1 (open) or more");
}

absl::Status CheckNumbers(const ScoreCall& call) {
  const AttentionProblem& problem = call.problem;
  if (!std::isfinite(problem.scale)) {
    return FieldError(call.names->scale, problem.scale, "a finite number");
  }
  if (!std::isfinite(problem.softcap) || problem.softcap < 0.0F) {
    return FieldError(call.names->softcap, problem.softcap, "a finite number of 0 or more");
  }
  absl::Status status = CheckWindow(problem.window_left, call.names->window_left);
  status.Update(CheckWindow(problem.window_right, call.names->window_right));
  return status;
}

absl::Status CheckKeyLengths(const ScoreCall& call, const ScoreShape& shape) {
  if (call.problem.key_lengths.empty()) return absl::OkStatus();
  const absl::string_view field = call.names->key_lengths;
  if (call.has_offset) {
    return FieldError(call.names->offset, call.problem.offset,
                      "none beside key_lengths, which set it");
  }
  if (static_cast<int64_t>(call.problem.key_lengths.size()) != shape.batch) {
    return FieldError(field, absl::StrCat(call.problem.key_lengths.size(), " lengths"),
                      absl::StrCat(shape.batch, ", one a batch"));
  }
  for (size_t b = 0; b < call.problem.key_lengths.size(); ++b) {
    const int64_t length = call.problem.key_lengths[b];
    if (length < 0 || length > shape.m) {
      return FieldError(absl::StrCat(field, "[", b, "]"), length,
                        absl::StrCat("0 to m = ", shape.m));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMask(const ScoreCall& call, const ScoreShape& shape) {
  if (!call.errors.mask.ok()) return call.errors.mask;
  const Shape& mask = call.problem.mask->shape;
  const Shape& result = shape.result;
  bool fits = mask.size() <= result.size() && mask.back() <= shape.m;
  for (size_t from_right = 1; fits && from_right < mask.size(); ++from_right) {
    const int64_t size = mask[mask.size() - 1 - from_right];
    fits = size == 1 || size == result[result.size() - 1 - from_right];
  }
  if (fits) return absl::OkStatus();
  return FieldError(absl::StrCat(call.names->mask, ".shape"), ShapeString(mask),
                    absl::StrCat("a shape that broadcasts to ", ShapeString(result),
                                 " (right-aligned; the last dimension at most m = ", shape.m, ")"));
}

absl::Status CheckValues(const ScoreCall& call) {
  const absl::string_view field = call.names->values;
  const bool needs_values = call.problem.output == Output::kContext;
  if (!call.problem.values.has_value()) {
    return needs_values ? FieldError(field, "none", "a tensor, for the output CONTEXT")
                        : absl::OkStatus();
  }
  if (!needs_values) {
    return FieldError(field, "a tensor", "none: only the output CONTEXT uses them");
  }
  if (!call.errors.values.ok()) return call.errors.values;
  return CheckValueShape(field, call.problem.values->shape, call.names->keys,
                         call.problem.keys.shape);
}

// Checks the options that do not depend on the tensors: attention, top_k, log_sum_exp.
absl::Status CheckOptions(const ScoreCall& call) {
  const Output output = call.problem.output;
  const bool is_top_k = output == Output::kTopK;
  if (is_top_k ? call.problem.top_k < 1 : call.problem.top_k != 0) {
    return FieldError(call.names->top_k, call.problem.top_k,
                      is_top_k ? "1 or more" : "none: only the output TOP_K uses it");
  }
  if (call.log_sum_exp && output != Output::kWeights && output != Output::kContext) {
    return FieldError(call.names->log_sum_exp, "true",
                      "false: only the outputs WEIGHTS and CONTEXT have it");
  }
  return CheckNumbers(call);
}

// Checks the options that depend on the shape of the scores: key_lengths, mask and, if keys are
// inline, values.
absl::Status CheckShapedOptions(const ScoreCall& call, const ScoreShape& shape) {
  absl::Status status = CheckKeyLengths(call, shape);
  if (status.ok() && call.problem.mask.has_value()) status = CheckMask(call, shape);
  if (status.ok() && !call.key_set.has_value()) status = CheckValues(call);
  return status;
}

// Returns the bytes of a result, or 0 if the call did not ask for it.
std::optional<int64_t> BytesOf(const Tensor& result) {
  return result.shape.empty() ? 0 : ByteCount(result.shape, ElementBytes(result.data_type));
}

}  // namespace

AdmittedScore::AdmittedScore(AttentionProblem&& problem, ScoreShape&& shape,
                             std::shared_ptr<const KeySet> key_set, std::shared_ptr<Tenant> tenant)
    : problem_(std::move(problem)),
      shape_(std::move(shape)),
      key_set_(std::move(key_set)),
      source_(key_set_ != nullptr ? std::shared_ptr<const KeySource>(key_set_)
                                  : std::make_shared<InlineKeys>(problem_, shape_)),
      request_{{problem_, shape_, {}}},
      tenant_(std::move(tenant)) {}

absl::StatusOr<int64_t> AdmittedScore::LayOutResults(bool log_sum_exp, int64_t message_bytes_max) {
  Tensor& result = result_.result;
  result.data_type = problem_.result_type;
  result.shape = shape_.result;
  result.shape.back() = ReducerOf(problem_.output).ResultColumns(problem_, source_->sizes());
  if (problem_.output == Output::kTopK) {
    result_.indices.data_type = DataType::kInt32;
    result_.indices.shape = result.shape;
  }
  if (log_sum_exp) result_.log_sum_exp.shape.assign(result.shape.begin(), result.shape.end() - 1);

  const int64_t bytes_max = message_bytes_max - kResponseOverheadBytesMax;
  int64_t sum = 0;
  for (const Tensor* tensor : {&result, &result_.indices, &result_.log_sum_exp}) {
    const std::optional<int64_t> bytes = BytesOf(*tensor);
    if (!bytes.has_value() || *bytes > bytes_max - sum) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the result would be ", DataTypeName(result.data_type), " ",
                       ShapeString(result.shape), ", which with ", kResponseOverheadBytesMax,
                       " bytes of framing is larger than message_bytes_max = ", message_bytes_max));
    }
    sum += *bytes;
  }
  return sum;
}

absl::Status AdmittedScore::Prepare(const ScoreCall& call, const AdmissionOptions& options) {
  ASSIGN_OR_RETURN(const int64_t bytes, LayOutResults(call.log_sum_exp, options.message_bytes_max));
  ASSIGN_OR_RETURN(charge_, options.budget->TryCharge(call.request_bytes +
                                                      StateBytes(*source_, problem_, shape_) +
                                                      kResultCopies * bytes));
  for (Tensor* tensor : {&result_.result, &result_.indices, &result_.log_sum_exp}) {
    if (tensor->shape.empty()) continue;
    ASSIGN_OR_RETURN(tensor->data, Buffer::Allocate(static_cast<size_t>(*BytesOf(*tensor))));
  }
  request_.request.results = {
      .result = result_.result.data.data(),
      .indices = reinterpret_cast<int32_t*>(result_.indices.data.data()),
      .log_sum_exp = reinterpret_cast<float*>(result_.log_sum_exp.data.data())};

  const ScoreCost cost = PredictCost(*source_, problem_, shape_, options.compute.gflops_per_worker);
  spec_ = {.cost = cost.alone,
           .arrival = call.arrival,
           .shared_cost = cost.shared,
           .tenant = tenant_ != nullptr ? tenant_->id() : TenantId{0},
           .priority = call.priority,
           .rows = shape_.Rows(),
           .deadline = call.deadline};
  if (key_set_ != nullptr) {
    result_.kernel = options.compute.key_set_kernel;
    spec_.group = GroupId{key_set_->id()};
    // The family is the hash of the name, because all versions of a set have one name. Two sets
    // with the same hash would only share one part of their tenant's time.
    spec_.family = FamilyId{std::hash<std::string>()(key_set_->name())};
    return absl::OkStatus();
  }
  result_.kernel = options.compute.kernel;
  const ScoreRequest* const requests[] = {&request_.request};
  ASSIGN_OR_RETURN(own_pass_, MakeScorePass(source_, requests));
  spec_.tile_count = own_pass_->tile_count();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Pass>> AdmittedScore::MakePass(
    absl::Span<const PassRequest* const> requests) {
  std::vector<const ScoreRequest*> all;
  all.reserve(requests.size());
  for (const PassRequest* request : requests) all.push_back(&request->request);
  return MakeScorePass(source_, all);
}

void AdmittedScore::Finish(const absl::Status& status, const JobReceipt& receipt) {
  // A request that took longer than predicted costs no more quota, because that is not its tenant's
  // fault.
  if (tenant_ != nullptr) {
    tenant_->GiveBackQuota(quota_taken_ - std::min(quota_taken_, receipt.worker_time));
  }
  const ScoreReceipt full = {.job = receipt, .rows = spec_.rows, .key_set = key_set_.get()};
  if (!status.ok()) return responder_->Fail(status, full);
  if (key_set_ != nullptr) ++key_set_->requests_served();
  responder_->Respond(result_, full);
}

absl::StatusOr<std::unique_ptr<AdmittedScore>> AdmitScore(ScoreCall&& call,
                                                          const AdmissionOptions& options) {
  if (!call.key_set.has_value()) RETURN_IF_ERROR(CheckScoreInline(call.permissions));
  RETURN_IF_ERROR(CheckOptions(call));
  RETURN_IF_ERROR(call.errors.queries);
  std::shared_ptr<const KeySet> key_set;  // null: inline keys
  if (call.key_set.has_value()) {
    ASSIGN_OR_RETURN(key_set, FindKeySet(call, *options.key_sets));
  } else if (!call.has_keys()) {
    return FieldError(call.names->keys, "none",
                      absl::StrCat("a tensor, or a ", call.names->key_set, " in its place"));
  }
  RETURN_IF_ERROR(call.errors.keys);
  ASSIGN_OR_RETURN(ScoreShape shape, AdmitShape(call, key_set.get()));
  RETURN_IF_ERROR(CheckShapedOptions(call, shape));
  std::unique_ptr<AdmittedScore> score(new AdmittedScore(
      std::move(call.problem), std::move(shape), std::move(key_set), std::move(call.tenant)));
  RETURN_IF_ERROR(score->Prepare(call, options));
  return score;
}

void SubmitScore(ScoreCall&& call, Responder* responder, const AdmissionOptions& options,
                 Batcher* batcher) {
  absl::StatusOr<std::unique_ptr<AdmittedScore>> score = AdmitScore(std::move(call), options);
  if (!score.ok()) return responder->Fail(score.status(), {});
  if (const auto& tenant = (*score)->tenant_; tenant != nullptr && tenant->has_quota()) {
    const absl::Duration cost = batcher->CorrectedCost((*score)->spec_);
    const absl::Status status = tenant->TakeQuota(cost, (*score)->spec_.arrival);
    if (!status.ok()) return responder->Fail(status, {});
    (*score)->quota_taken_ = cost;
  }
  (*score)->responder_ = responder;
  responder->Hold(std::move((*score)->charge_));
  const JobSpec spec = (*score)->spec_;
  batcher->Submit(*std::move(score), spec);
}

}  // namespace qkserve
