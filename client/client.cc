#include "qkserve/client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "client/connection_hint.h"
#include "client/retries.h"
#include "client/tensor_bytes.h"
#include "qkserve/channel.h"

namespace qkserve {
namespace {

static_assert(static_cast<int>(DataType::kFloat32) == v1::FLOAT32);
static_assert(static_cast<int>(DataType::kFloat16) == v1::FLOAT16);
static_assert(static_cast<int>(DataType::kBfloat16) == v1::BFLOAT16);
static_assert(static_cast<int>(DataType::kBool) == v1::BOOL);
static_assert(static_cast<int>(DataType::kInt32) == v1::INT32);
static_assert(v1::DataType_MAX == v1::INT32);
static_assert(kOutputNames.size() == v1::Output_MAX);

void ToProto(const TensorView& tensor, v1::Tensor& out) {
  out.set_data_type(static_cast<v1::DataType>(tensor.data_type));
  out.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
  const int64_t bytes = tensor.size_bytes.value_or(
      ByteCount(tensor.shape, ElementBytes(tensor.data_type)).value_or(0));
  if (bytes > 0) {
    out.set_data(reinterpret_cast<const char*>(tensor.data), static_cast<size_t>(bytes));
  }
}

// Takes over the message's bytes.
absl::StatusOr<Tensor> FromProto(v1::Tensor& tensor) {
  if (!IsDataType(tensor.data_type())) {
    return absl::InternalError(
        absl::StrCat("the reply has data type ", static_cast<int>(tensor.data_type())));
  }
  Tensor out;
  out.data_type = static_cast<DataType>(tensor.data_type());
  out.shape.assign(tensor.shape().begin(), tensor.shape().end());
  const std::optional<int64_t> elements = ElementCount(out.shape);
  const int64_t size_bytes = static_cast<int64_t>(tensor.data().size());
  const int64_t element_bytes = ElementBytes(out.data_type);
  if (!elements.has_value() || size_bytes % element_bytes != 0 ||
      size_bytes / element_bytes != *elements) {
    return absl::InternalError(absl::StrCat("the reply has ", size_bytes, " bytes for the shape ",
                                            ShapeString(out.shape)));
  }
  auto* bytes = new std::string(std::move(*tensor.mutable_data()));
  out.data = Buffer(reinterpret_cast<std::byte*>(bytes->data()), bytes->size(),
                    [bytes](std::byte*) { delete bytes; });
  return out;
}

v1::ScoreRequest MakeRequestWithoutKeys(const TensorView& queries, const ScoreOptions& options) {
  v1::ScoreRequest request;
  v1::Attention& attention = *request.mutable_attention();
  if (options.scale.has_value()) attention.set_scale(*options.scale);
  if (options.softcap.has_value()) attention.set_softcap(*options.softcap);
  attention.set_is_causal(options.is_causal);
  if (options.window_left.has_value()) attention.set_window_left(*options.window_left);
  if (options.window_right.has_value()) attention.set_window_right(*options.window_right);
  if (options.offset.has_value()) attention.set_offset(*options.offset);
  attention.mutable_key_lengths()->Assign(options.key_lengths.begin(), options.key_lengths.end());
  if (options.mask.has_value()) ToProto(*options.mask, *attention.mutable_mask());

  request.set_output(static_cast<v1::Output>(options.output));
  request.set_result_type(static_cast<v1::DataType>(options.result_type));
  request.set_top_k(options.top_k);
  request.set_log_sum_exp(options.log_sum_exp);
  ToProto(queries, *request.mutable_queries());
  return request;
}

// Checks the shape against the bytes. Without `size_bytes` only the server checks the shape.
absl::Status CheckView(absl::string_view name, const std::optional<TensorView>& tensor) {
  if (!tensor.has_value() || !tensor->size_bytes.has_value()) return absl::OkStatus();
  return TensorBytes(name, tensor->data_type, tensor->shape, tensor->size_bytes).status();
}

Metadata MetadataOf(const ScoreOptions& options) {
  Metadata metadata = CallerMetadata(options.tenant, options.priority);
  metadata.insert(metadata.end(), options.metadata.begin(), options.metadata.end());
  return metadata;
}

// Returns INTERNAL if the result is not the one that was asked for. Programs rely on the result's
// type and rows.
absl::Status CheckResult(const TensorView& queries, const ScoreOptions& options,
                         const ScoreResult& result) {
  const auto wrong = [](const auto&... what) {
    return absl::InternalError(absl::StrCat("the reply has ", what...));
  };
  const Shape& shape = result.result.shape;
  const size_t rank = queries.shape.size();
  if (result.result.data_type != options.result_type) {
    return wrong("a result of ", DataTypeName(result.result.data_type), ", asked for was ",
                 DataTypeName(options.result_type));
  }
  if (shape.size() != rank || rank < 2 || shape[rank - 2] != queries.shape[rank - 2]) {
    return wrong("the shape ", ShapeString(shape), " for queries ", ShapeString(queries.shape));
  }
  const bool is_top_k = options.output == Output::kTopK;
  if (is_top_k && (!result.indices.has_value() || result.indices->data_type != DataType::kInt32 ||
                   result.indices->shape != shape)) {
    return wrong("no indices that fit its scores");
  }
  if (!is_top_k && result.indices.has_value()) return wrong("indices that were not asked for");
  if (options.log_sum_exp &&
      (!result.log_sum_exp.has_value() || result.log_sum_exp->data_type != DataType::kFloat32 ||
       result.log_sum_exp->shape != Shape(shape.begin(), shape.end() - 1))) {
    return wrong("no log-sum-exp");
  }
  return absl::OkStatus();
}

// Takes over the reply's tensors.
absl::StatusOr<ScoreResult> ToResult(const TensorView& queries, const ScoreOptions& options,
                                     absl::StatusOr<v1::ScoreResponse> response) {
  if (!response.ok()) return response.status();
  ScoreResult result;
  ASSIGN_OR_RETURN(result.result, FromProto(*response->mutable_result()));
  if (response->has_indices()) {
    ASSIGN_OR_RETURN(result.indices, FromProto(*response->mutable_indices()));
  }
  if (response->has_log_sum_exp()) {
    ASSIGN_OR_RETURN(result.log_sum_exp, FromProto(*response->mutable_log_sum_exp()));
  }
  RETURN_IF_ERROR(CheckResult(queries, options, result));
  result.receipt = ReceiptFromProto(response->receipt());
  return result;
}

template <typename Channel>
std::vector<Client::Stubs> StubsOf(const std::vector<std::shared_ptr<Channel>>& channels) {
  std::vector<Client::Stubs> stubs;
  stubs.reserve(channels.size());
  for (const std::shared_ptr<Channel>& channel : channels) {
    stubs.push_back({.scoring = v1::ScoringService::NewStub(channel),
                     .status = v1::StatusService::NewStub(channel),
                     .key_sets = v1::KeySetService::NewStub(channel)});
  }
  return stubs;
}

}  // namespace

Receipt ReceiptFromProto(const v1::Receipt& receipt) {
  return {.queued = absl::Nanoseconds(receipt.queued_ns()),
          .computed = absl::Nanoseconds(receipt.computed_ns()),
          .batch_requests = receipt.batch_requests(),
          .batch_rows = receipt.batch_rows(),
          .kernel = receipt.kernel(),
          .key_set_version = receipt.key_set_version()};
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const absl::string_view hint =
      code == absl::StatusCode::kUnavailable ? ConnectionHint(status.error_message()) : "";
  if (hint.empty()) return absl::Status(code, status.error_message());
  return absl::Status(code, absl::StrCat(hint, " (", status.error_message(), ")"));
}

v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const TensorView& keys,
                                  const ScoreOptions& options) {
  v1::ScoreRequest request = MakeRequestWithoutKeys(queries, options);
  ToProto(keys, *request.mutable_inline_()->mutable_keys());
  if (options.values.has_value()) {
    ToProto(*options.values, *request.mutable_inline_()->mutable_values());
  }
  return request;
}

v1::ScoreRequest MakeScoreRequest(const TensorView& queries, const KeySetReference& key_set,
                                  const ScoreOptions& options) {
  v1::ScoreRequest request = MakeRequestWithoutKeys(queries, options);
  request.mutable_key_set()->set_name(key_set.name);
  if (key_set.version.has_value()) request.mutable_key_set()->set_version(*key_set.version);
  return request;
}

absl::StatusOr<std::unique_ptr<Client>> Client::Create(const ClientOptions& options) {
  ClientOptions connections = options;
  // The client itself retries, because it can send the next attempt on another channel. The
  // channels do not retry.
  connections.attempts_max = 1;
  StubOptions stubs = {.attempts_max = options.attempts_max};
  if (options.attempts_max > 1 && options.channels == 1) {
    connections.channels = 2;
    stubs.spares = 1;
  }
  RETURN_IF_ERROR(CheckAttempts(options.attempts_max));
  ASSIGN_OR_RETURN(const std::vector<std::shared_ptr<grpc::Channel>> channels,
                   MakeChannels(connections));
  // User and password are left out, because errors are printed.
  const size_t host = options.http_proxy.find_last_of("@/") + 1;  // npos + 1 is 0
  stubs.http_proxy = options.http_proxy.substr(host);
  return std::make_unique<Client>(StubsOf(channels), stubs);
}

Client::Client(const std::shared_ptr<grpc::ChannelInterface>& channel)
    : Client(StubsOf(std::vector{channel})) {}

Client::Client(std::vector<Stubs> stubs, const StubOptions& options)
    : stubs_(std::move(stubs)),
      spares_(options.spares),
      http_proxy_(options.http_proxy),
      retries_(std::make_unique<Retries>(options.attempts_max)) {}

Client::~Client() = default;

RetryCounts Client::retry_counts() const { return retries_->counts(); }

absl::Status Client::ToStatus(const grpc::Status& status) const {
  absl::Status converted = FromGrpcStatus(status);
  if (http_proxy_.empty() || !absl::IsUnavailable(converted)) return converted;
  return absl::UnavailableError(
      absl::StrCat(converted.message(), " (through the HTTP proxy ", http_proxy_, ")"));
}

size_t Client::NextStubs() {
  return next_.fetch_add(1, std::memory_order_relaxed) % (stubs_.size() - spares_);
}

size_t Client::StubsForRetry(size_t failed) {
  const size_t others = stubs_.size() - 1;
  if (others == 0) return failed;
  return (failed + 1 + next_.fetch_add(1, std::memory_order_relaxed) % others) % stubs_.size();
}

absl::Status Client::Call(Repeat repeat, absl::Duration timeout, const std::string& key_set,
                          const Metadata& metadata, Attempt attempt) {
  // The clock is monotonic, because a jump of the wall clock must not change the time that is left.
  const Clock& clock = *Clock::Monotonic();
  const absl::Time deadline = clock.Now() + timeout;
  RetriedCall call(retries_.get(), repeat);
  for (size_t stubs = NextStubs();; stubs = StubsForRetry(stubs)) {
    grpc::ClientContext context;
    PrepareCall(context, deadline - clock.Now(), key_set);
    RETURN_IF_ERROR(AddMetadata(context, metadata));
    const grpc::Status status = attempt(stubs_[stubs], context);
    const std::optional<absl::Duration> pause =
        call.PauseAfter(status, context, deadline - clock.Now());
    if (!pause.has_value()) return call.Explain(ToStatus(status));
    absl::SleepFor(*pause);
  }
}

absl::StatusOr<ScoreResult> Client::Score(const TensorView& queries, const TensorView& keys,
                                          const ScoreOptions& options) {
  RETURN_IF_ERROR(CheckView("queries", queries));
  RETURN_IF_ERROR(CheckView("keys", keys));
  RETURN_IF_ERROR(CheckView("values", options.values));
  RETURN_IF_ERROR(CheckView("mask", options.mask));
  return ToResult(
      queries, options,
      Score(MakeScoreRequest(queries, keys, options), options.timeout, MetadataOf(options)));
}

absl::StatusOr<ScoreResult> Client::Score(const TensorView& queries, const KeySetReference& key_set,
                                          const ScoreOptions& options) {
  if (options.values.has_value()) {
    return InvalidArgument("values: a key set has its own; send them with inline keys");
  }
  RETURN_IF_ERROR(CheckView("queries", queries));
  RETURN_IF_ERROR(CheckView("mask", options.mask));
  return ToResult(
      queries, options,
      Score(MakeScoreRequest(queries, key_set, options), options.timeout, MetadataOf(options)));
}

absl::StatusOr<v1::ScoreResponse> Client::Score(const v1::ScoreRequest& request,
                                                absl::Duration timeout, const Metadata& metadata) {
  v1::ScoreResponse response;
  RETURN_IF_ERROR(Call(Repeat::kReads, timeout, request.key_set().name(), metadata,
                       [&](const Stubs& stubs, grpc::ClientContext& context) {
                         return stubs.scoring->Score(&context, request, &response);
                       }));
  return response;
}

absl::StatusOr<v1::GetStatusResponse> Client::GetStatus(absl::Duration timeout,
                                                        const Metadata& metadata) {
  v1::GetStatusResponse response;
  RETURN_IF_ERROR(Call(Repeat::kReads, timeout, "", metadata,
                       [&](const Stubs& stubs, grpc::ClientContext& context) {
                         return stubs.status->GetStatus(&context, {}, &response);
                       }));
  return response;
}

}  // namespace qkserve
