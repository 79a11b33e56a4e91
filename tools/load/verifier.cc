#include "tools/load/verifier.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/float16.h"
#include "base/status_macros.h"
#include "qkserve/limits.h"
#include "tools/load/reply.h"

namespace qkserve {
namespace {

constexpr size_t kSamplesMax = 64;
constexpr int64_t kSamplesBytesMax = 256 * kMiB;
constexpr int64_t kFirstRepliesBytesMax = 256 * kMiB;
constexpr int64_t kMatrixElementsMax = int64_t{1} << 30;

// The thread rests three times as long as it works.
constexpr int kRest = 3;

std::vector<float> ElementsOf(DataType type, const Shape& shape, const std::string& bytes) {
  return ElementsAsFloat({type, shape, reinterpret_cast<const std::byte*>(bytes.data())});
}

// Returns the tensor as one matrix, which has the rows of all leading indices in order.
absl::StatusOr<FloatMatrix> ToMatrix(const v1::Tensor& tensor) {
  const Shape shape(tensor.shape().begin(), tensor.shape().end());
  const std::optional<int64_t> count = ElementCount(shape);
  const auto type = static_cast<DataType>(tensor.data_type());
  if (!IsFloatType(tensor.data_type()) || !count.has_value() ||
      static_cast<int64_t>(tensor.data().size()) != *count * ElementBytes(type)) {
    return absl::InternalError(absl::StrCat("got a tensor of ", tensor.data().size(),
                                            " bytes that do not fit its shape and type"));
  }
  FloatMatrix matrix = {1, 0, ElementsOf(type, shape, tensor.data())};
  for (size_t i = 0; i + 1 < shape.size(); ++i) matrix.rows *= shape[i];
  if (!shape.empty()) matrix.columns = shape.back();
  return matrix;
}

std::vector<int32_t> ToKeys(const v1::Tensor& tensor) {
  std::vector<int32_t> keys(tensor.data().size() / sizeof(int32_t));
  if (!keys.empty()) std::memcpy(keys.data(), tensor.data().data(), keys.size() * sizeof(int32_t));
  return keys;
}

}  // namespace

absl::StatusOr<FloatMatrix> ReadMatrix(const TensorSource& source,
                                       std::optional<DataType> storage) {
  const std::optional<int64_t> count = ElementCount(source.spec.shape);
  if (source.spec.shape.size() != 2 || !count.has_value() || *count > kMatrixElementsMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "--verify holds matrices of ", kMatrixElementsMax, " elements at most in memory"));
  }
  const DataType type = source.spec.data_type;
  std::string bytes(static_cast<size_t>(*count * ElementBytes(type)), '\0');
  RETURN_IF_ERROR(source.read(0, absl::MakeSpan(bytes)));
  FloatMatrix matrix = {source.spec.shape[0], source.spec.shape[1],
                        ElementsOf(type, source.spec.shape, bytes)};
  for (float& element : matrix.elements) element = RoundedTo(storage.value_or(type), element);
  return matrix;
}

Verifier::Verifier(const RequestSet* requests, std::vector<KnownKeySet> key_sets,
                   const Clock* clock)
    : requests_(requests), key_sets_(std::move(key_sets)), clock_(clock) {
  thread_ = std::thread([this] { Run(); });
}

Verifier::~Verifier() {
  if (thread_.joinable()) Finish(/*check_rest=*/false);
}

void Verifier::Offer(int64_t sequence, size_t request, const grpc::ByteBuffer& reply) {
  MutexLock lock(&mutex_);
  const auto bytes = static_cast<int64_t>(reply.Length());
  if (samples_.size() >= kSamplesMax) return;
  if (!samples_.empty() && samples_bytes_ + bytes > kSamplesBytesMax) return;
  samples_.push_back({sequence, request, reply});
  samples_bytes_ += bytes;
  changed_.NotifyOne();
}

std::optional<Verifier::Sample> Verifier::Take() {
  MutexLock lock(&mutex_);
  while (samples_.empty() && !finish_) changed_.Wait(&mutex_);
  if (samples_.empty()) return std::nullopt;
  Sample sample = std::move(samples_.front());
  samples_.pop_front();
  samples_bytes_ -= static_cast<int64_t>(sample.reply.Length());
  return sample;
}

void Verifier::Run() {
  while (const std::optional<Sample> sample = Take()) {
    const absl::Time begin = clock_->Now();
    Check(*sample);
    const absl::Time rested = clock_->Now() + kRest * (clock_->Now() - begin);
    MutexLock lock(&mutex_);
    while (!finish_ && clock_->Now() < rested) changed_.WaitFor(&mutex_, rested - clock_->Now());
  }
}

Verifier::Result Verifier::Finish(bool check_rest) {
  {
    MutexLock lock(&mutex_);
    finish_ = true;
    if (!check_rest) samples_.clear();
    changed_.NotifyAll();
  }
  thread_.join();
  return result_;
}

void Verifier::Wrong(const Sample& sample, const absl::Status& problem) {
  const RequestSet::Request& request = requests_->requests[sample.request];
  if (++result_.wrong > 1) return;
  result_.first_wrong = absl::InternalError(absl::StrCat(
      "wrong answer: request ", sample.sequence, " (payload ", request.payload,
      requests_->key_sets.empty()
          ? ""
          : absl::StrCat(", key set ", requests_->key_sets[static_cast<size_t>(request.key_set)]),
      "), ", problem.message()));
}

void Verifier::Check(const Sample& sample) {
  const absl::StatusOr<v1::ScoreResponse> response = ParseReply(sample.reply);
  if (!response.ok()) {
    Wrong(sample, response.status());
    return;
  }
  CheckDuplicate(sample, *response);
  // If the keys are not known here, no row can be computed.
  if (!requests_->key_sets.empty() && key_sets_.empty()) return;
  const absl::Status status = CheckRow(sample, *response);
  if (!status.ok()) Wrong(sample, status);
}

void Verifier::CheckDuplicate(const Sample& sample, const v1::ScoreResponse& response) {
  std::string bits = absl::StrCat(response.result().data(), response.indices().data());
  const SameAnswer same = {sample.request, response.receipt().key_set_version(),
                           response.receipt().kernel()};
  const auto first = first_replies_.find(same);
  if (first != first_replies_.end()) {
    ++result_.duplicates;
    if (first->second == bits) return;
    size_t at = 0;
    const size_t size = std::min(bits.size(), first->second.size());
    while (at < size && bits[at] == first->second[at]) ++at;
    Wrong(sample, absl::InternalError(absl::StrCat(
                      "which was answered before with other bits: they differ from element ",
                      at / 4, " on, of ", first->second.size() / 4)));
    return;
  }
  const auto bytes = static_cast<int64_t>(bits.size());
  if (first_replies_bytes_ + bytes > kFirstRepliesBytesMax) return;
  first_replies_bytes_ += bytes;
  first_replies_.emplace(same, std::move(bits));
}

absl::Status Verifier::CheckRow(const Sample& sample, const v1::ScoreResponse& response) {
  const RequestSet::Request& sent = requests_->requests[sample.request];
  ASSIGN_OR_RETURN(const v1::ScoreRequest request, ParseRequest(sent.bytes));
  ASSIGN_OR_RETURN(const FloatMatrix queries, ToMatrix(request.queries()));
  KnownKeySet inline_keys;
  if (key_sets_.empty()) {
    ASSIGN_OR_RETURN(inline_keys.keys, ToMatrix(request.inline_().keys()));
    if (request.inline_().has_values()) {
      ASSIGN_OR_RETURN(inline_keys.values, ToMatrix(request.inline_().values()));
    }
  }
  const KnownKeySet& known =
      key_sets_.empty() ? inline_keys : key_sets_[static_cast<size_t>(sent.key_set)];
  const FloatMatrix* const values = known.values.has_value() ? &*known.values : nullptr;

  ASSIGN_OR_RETURN(const FloatMatrix result, ToMatrix(response.result()));
  const std::vector<int32_t> keys = ToKeys(response.indices());
  const auto output = static_cast<Output>(request.output());
  const int64_t columns = AnswerColumns(output, request.top_k(), known.keys.rows,
                                        values == nullptr ? 0 : values->columns);
  if (result.rows != queries.rows || result.columns != columns ||
      (request.output() == v1::TOP_K && keys.size() != result.elements.size())) {
    return absl::InternalError(absl::StrCat("got a result [", result.rows, ", ", result.columns,
                                            "], expected [", queries.rows, ", ", columns, "]"));
  }
  if (queries.rows == 0) return absl::OkStatus();
  // Each reply is checked in the next row, so that all rows are compared over time.
  const int64_t row = result_.rows++ % queries.rows;
  AnswerRow answer = {output, result.Row(row), {}};
  if (request.output() == v1::TOP_K) {
    answer.keys = absl::MakeConstSpan(keys).subspan(static_cast<size_t>(row * columns),
                                                    static_cast<size_t>(columns));
  }
  absl::Status status = CheckAnswerRow(answer, queries.Row(row), known.keys, values,
                                       static_cast<uint64_t>(sample.sequence));
  if (status.ok()) return status;
  return absl::InternalError(absl::StrCat("row ", row, ", ", status.message()));
}

}  // namespace qkserve
