#include "tools/qkctl/commands/score_inputs.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "formats/npy.h"
#include "formats/tensor_file.h"

namespace qkserve {
namespace {

// Not set where the server's own, 1, is meant.
std::optional<float> Scale(const std::optional<ScaleValue>& scale, const Shape& queries_shape) {
  if (!scale.has_value()) return std::nullopt;
  if (!scale->is_auto) return scale->value;
  // Without a d there is nothing to scale: the scores are zeros, or the server refuses the shape.
  if (queries_shape.empty() || queries_shape.back() <= 0) return std::nullopt;
  return static_cast<float>(1 / std::sqrt(static_cast<double>(queries_shape.back())));
}

absl::StatusOr<std::vector<int64_t>> KeyLengths(const std::optional<KeyLengthsValue>& key_lengths,
                                                const Shape& queries_shape) {
  if (!key_lengths.has_value()) return std::vector<int64_t>();
  if (key_lengths->path.empty()) return key_lengths->lengths;
  absl::StatusOr<std::vector<int64_t>> lengths = ReadNpyInt64(key_lengths->path);
  // On the wire no lengths are the same as none given: that must not lift a limit silently.
  const bool has_batches = queries_shape.size() < 3 || queries_shape.front() > 0;
  if (lengths.ok() && lengths->empty() && has_batches) {
    return absl::InvalidArgumentError(
        absl::StrCat(key_lengths->path, ": no lengths, expected one a batch"));
  }
  return lengths;
}

absl::StatusOr<Tensor> Read(const std::string& path, absl::string_view name) {
  absl::StatusOr<TensorFile> file = OpenTensorFile(path, name);
  if (!file.ok()) return file.status();
  return ReadTensor(*file);
}

absl::Status ReadOptional(const std::string& path, absl::string_view name,
                          std::optional<Tensor>* tensor, std::optional<TensorView>* view) {
  if (path.empty()) return absl::OkStatus();
  absl::StatusOr<Tensor> read = Read(path, name);
  if (!read.ok()) return read.status();
  *view = read->View();
  *tensor = *std::move(read);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ScoreInputs> ReadScoreInputs(const ScoreCommandOptions& command) {
  absl::StatusOr<Tensor> queries = Read(command.queries, "queries");
  if (!queries.ok()) return queries.status();
  ScoreInputs inputs;
  inputs.queries = *std::move(queries);
  inputs.key_set = command.key_set.Reference();
  if (!inputs.key_set.has_value()) {
    absl::StatusOr<Tensor> keys = Read(command.keys, "keys");
    if (!keys.ok()) return keys.status();
    inputs.keys = *std::move(keys);
  }

  ScoreOptions& options = inputs.options;
  absl::Status status = ReadOptional(command.values, "values", &inputs.values, &options.values);
  if (!status.ok()) return status;
  status = ReadOptional(command.mask, "mask", &inputs.mask, &options.mask);
  if (!status.ok()) return status;
  absl::StatusOr<std::vector<int64_t>> key_lengths =
      KeyLengths(command.key_lengths, inputs.queries.shape);
  if (!key_lengths.ok()) return key_lengths.status();
  options.key_lengths = *std::move(key_lengths);

  options.scale = Scale(command.scale, inputs.queries.shape);
  options.softcap = command.softcap;
  options.is_causal = command.causal;
  options.window_left = command.window_left;
  options.window_right = command.window_right;
  options.offset = command.offset;
  options.output = command.OutputOrDefault();
  options.result_type = command.result_type;
  options.top_k = command.top_k.value_or(0);
  options.log_sum_exp = !command.log_sum_exp_out.empty();
  options.timeout = command.connection.timeout;
  return inputs;
}

}  // namespace qkserve
