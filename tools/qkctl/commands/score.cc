#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/float16.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "formats/npy.h"
#include "formats/tensor_file.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/commands/score_options.h"
#include "tools/qkctl/output/tensor_output.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/qkctl/picture/heat_map_png.h"
#include "tools/qkctl/picture/terminal_matrix.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// A request with the memory of its tensors.
struct ScoreInputs {
  Tensor queries, keys;  // no keys if there is a key set
  std::optional<Tensor> values, mask;
  ScoreOptions options;  // refers to the tensors' elements, not to the tensors
};

// Returns the scale, or nullopt for the server's default, which is 1.
std::optional<float> Scale(const std::optional<ScaleValue>& scale, const Shape& queries_shape) {
  if (!scale.has_value()) return std::nullopt;
  if (!scale->is_auto) return scale->value;
  // Without a positive d there is nothing to scale. The scores are zeros, or the server refuses the
  // shape.
  if (queries_shape.empty() || queries_shape.back() <= 0) return std::nullopt;
  return static_cast<float>(1 / std::sqrt(static_cast<double>(queries_shape.back())));
}

absl::StatusOr<std::vector<int64_t>> KeyLengths(const std::optional<KeyLengthsValue>& key_lengths,
                                                const Shape& queries_shape) {
  if (!key_lengths.has_value()) return std::vector<int64_t>();
  if (key_lengths->path.empty()) return key_lengths->lengths;
  absl::StatusOr<std::vector<int64_t>> lengths = ReadNpyInt64(key_lengths->path);
  if (!lengths.ok()) return NameFlag("key_lengths", lengths.status());
  // On the wire an empty list means no limits. An empty file must not remove the limits silently.
  const bool has_batches = queries_shape.size() < 3 || queries_shape.front() > 0;
  if (lengths->empty() && has_batches) {
    return InvalidArgument("--key_lengths: ", key_lengths->path,
                           ": no lengths, expected one a batch");
  }
  return lengths;
}

absl::StatusOr<Tensor> Read(absl::string_view flag, const std::string& path) {
  ASSIGN_OR_RETURN(const TensorFile file, OpenTensorOfFlag(flag, path));
  absl::StatusOr<Tensor> tensor = ReadTensor(file);
  if (!tensor.ok()) return NameFlag(flag, tensor.status());
  return tensor;
}

absl::Status ReadOptional(absl::string_view flag, const std::string& path,
                          std::optional<Tensor>* tensor, std::optional<TensorView>* view) {
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*tensor, Read(flag, path));
  *view = (*tensor)->View();
  return absl::OkStatus();
}

// Reads the files that the options name. Errors name the flag and the file.
absl::StatusOr<ScoreInputs> ReadScoreInputs(const ScoreCommandOptions& command) {
  ScoreInputs inputs;
  ASSIGN_OR_RETURN(inputs.queries, Read("queries", command.queries));
  if (command.key_set.name.empty()) {
    ASSIGN_OR_RETURN(inputs.keys, Read("keys", command.keys));
  }

  ScoreOptions& options = inputs.options;
  RETURN_IF_ERROR(ReadOptional("values", command.values, &inputs.values, &options.values));
  RETURN_IF_ERROR(ReadOptional("mask", command.mask, &inputs.mask, &options.mask));
  ASSIGN_OR_RETURN(options.key_lengths, KeyLengths(command.key_lengths, inputs.queries.shape));

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
  options.tenant = command.caller.tenant;
  options.priority = command.caller.priority;
  return inputs;
}

// True if standard output may have colours. See https://no-color.org.
bool WantsColor() {
  const char* const no_color = std::getenv("NO_COLOR");
  return IsTerminal(STDOUT_FILENO) && (no_color == nullptr || *no_color == '\0');
}

HeatMapLabels LabelsOf(Output output) {
  HeatMapLabels labels = {.title = std::string(OutputName(output))};
  if (output == Output::kTopK) labels.across = "ranks";
  if (output == Output::kContext) labels.across = "value dimensions";
  return labels;
}

void Show(const ScoreResult& result, const std::vector<float>& elements,
          const HeatMapLabels& labels) {
  const Shape& shape = result.result.shape;
  std::vector<int32_t> keys;
  if (result.indices.has_value()) {
    const auto indices = result.indices->Elements<int32_t>();
    keys.assign(indices.begin(), indices.end());
  }
  const int64_t width = TerminalColumns().value_or(kTextColumns);
  std::fputs(TensorText(elements, shape, keys, {.width_max = width}).c_str(), stdout);
  if (!WantsColor() || elements.empty()) return;
  std::fputs("\n", stdout);
  std::fputs(TensorHeatMap(elements, shape, labels, {.width_max = width}).c_str(), stdout);
}

// Writes a tensor that may be missing. `name` is its name in ScoreResponse.
absl::Status WriteOptional(const std::string& path, absl::string_view name,
                           const std::optional<Tensor>& tensor) {
  return path.empty() ? absl::OkStatus() : WriteTensorFile(path, name, tensor->View());
}

absl::Status Deliver(const ScoreResult& result, const ScoreCommandOptions& to) {
  std::vector<float> elements;
  if (to.out.empty() || !to.heatmap.empty()) elements = ElementsAsFloat(result.result.View());
  const HeatMapLabels labels = LabelsOf(to.OutputOrDefault());
  if (to.out.empty()) {
    Show(result, elements, labels);
  } else {
    RETURN_IF_ERROR(WriteTensorFile(to.out, "result", result.result.View()));
  }
  RETURN_IF_ERROR(WriteOptional(to.indices_out, "indices", result.indices));
  RETURN_IF_ERROR(WriteOptional(to.log_sum_exp_out, "log_sum_exp", result.log_sum_exp));
  if (to.heatmap.empty()) return absl::OkStatus();
  return WriteHeatMapPng(to.heatmap, elements, result.result.shape, labels);
}

// Returns one line about how a request was answered.
std::string ReceiptText(const Receipt& receipt) {
  return absl::StrCat(
      absl::StrFormat("queued %.3f ms, computed %.3f ms, %s and %s in its batch, %s",
                      absl::ToDoubleMilliseconds(receipt.queued),
                      absl::ToDoubleMilliseconds(receipt.computed),
                      CountText(receipt.batch_requests, "request"),
                      CountText(receipt.batch_rows, "row"), Printable(receipt.kernel)),
      receipt.key_set_version == 0
          ? ""
          : absl::StrCat(", version ", receipt.key_set_version, " of the key set"));
}

absl::Status Run(const ScoreCommandOptions& options) {
  if (const std::string text = options.WithoutEffect(); !text.empty()) {
    absl::FPrintF(stderr, "warning: %s\n", text);
  }
  ASSIGN_OR_RETURN(const ScoreInputs inputs, ReadScoreInputs(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  const TensorView queries = inputs.queries.View();
  const std::optional<KeySetReference> key_set = options.key_set.Reference();
  ASSIGN_OR_RETURN(const ScoreResult result,
                   key_set.has_value()
                       ? client->Score(queries, *key_set, inputs.options)
                       : client->Score(queries, inputs.keys.View(), inputs.options));
  RETURN_IF_ERROR(Deliver(result, options));
  if (options.receipt || IsTerminal(STDERR_FILENO)) {
    std::fprintf(stderr, "%s\n", ReceiptText(result.receipt).c_str());
  }
  return absl::OkStatus();
}

constexpr absl::string_view kDetails =
    R"(The stages follow one another. --output says which one is returned:
  scores   scale * q·k                                        [.., n, m]
  capped   after --softcap                                    [.., n, m]
  masked   after --mask, --causal, the window and
           --key_lengths together; -inf if a key is not
           attended                                           [.., n, m]
  weights  softmax of masked over the keys                    [.., n, m]
  context  weights times --values                             [.., n, dv]
  top_k    the --top_k best masked scores of each query,
           best first, and their keys: key -1 and score -inf
           if fewer are left                                  [.., n, top_k]

Keys and values come from files, or from a key set on the server ('qkctl keys').
Leading dimensions of queries and keys are equal, or 1. The number of query
heads may be a multiple of the number of key heads. Files are NumPy's .npy
(float32 or float16) or .safetensors (also bfloat16). FILE.safetensors:TENSOR
names a tensor. Without :TENSOR, qkctl takes the tensor named queries, keys,
values or mask, or the only tensor of the file.

If options are left out, the server uses its defaults. A terminal also shows a
heat map, unless NO_COLOR is set. There, and in --heatmap, dark blue is the
smallest value that is shown, and yellow the largest. Grey is -inf, white inf,
red nan. A large matrix is reduced to means.
)";

constexpr absl::string_view kMoreExamples =
    R"(  qkctl score --queries=q.npy --keys=k.npy --values=v.npy \
      --scale=auto --causal --output=context --out=context.npy
  qkctl score --queries=q.npy --key_set=items --output=top_k --top_k=10 \
      --indices_out=i.npy
  qkctl score --queries=q.npy --keys=k.npy --key_lengths=7,9 \
      --output=weights --heatmap=w.png
)";

}  // namespace

Command ScoreCommand() {
  return WithOptions(
      {.name = "score",
       .summary = "Computes scores of queries against keys, and attention from the scores.",
       .details = kDetails,
       .example = "qkctl score --queries=q.npy --keys=k.npy --scale=auto --out=scores.npy",
       .more_examples = kMoreExamples},
      &Run);
}

}  // namespace qkserve
