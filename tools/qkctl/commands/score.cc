#include "tools/qkctl/commands/score.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/float16.h"
#include "tools/qkctl/commands/score_inputs.h"
#include "tools/qkctl/commands/score_options.h"
#include "tools/qkctl/output/tensor_output.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/qkctl/picture/heat_map_png.h"
#include "tools/qkctl/picture/terminal_matrix.h"

namespace qkserve {
namespace {

// See https://no-color.org.
bool WantsColor() {
  const char* const no_color = std::getenv("NO_COLOR");
  return IsTerminal(STDOUT_FILENO) && (no_color == nullptr || *no_color == '\0');
}

HeatMapOptions HeatMapOfTerminal() {
  HeatMapOptions options;
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width_max = size.ws_col;
  }
  return options;
}

std::vector<int32_t> Int32Elements(const Tensor& tensor) {
  std::vector<int32_t> elements(tensor.data.size_bytes() / sizeof(int32_t));
  if (!elements.empty()) {
    std::memcpy(elements.data(), tensor.data.data(), elements.size() * sizeof(int32_t));
  }
  return elements;
}

void Show(const ScoreResult& result, const std::vector<float>& elements) {
  const Shape& shape = result.result.shape;
  const std::vector<int32_t> keys =
      result.indices.has_value() ? Int32Elements(*result.indices) : std::vector<int32_t>();
  std::fputs(KeyedTensorText(keys, elements, shape).c_str(), stdout);
  if (!WantsColor() || elements.empty()) return;
  std::fputs("\n", stdout);
  std::fputs(TensorHeatMap(elements, shape, HeatMapOfTerminal()).c_str(), stdout);
}

// The reply comes from a server that may be any: what is shown or written must be there and fit.
absl::Status CheckReply(const ScoreOptions& asked, const ScoreResult& result) {
  if (asked.output == Output::kTopK &&
      (!result.indices.has_value() || result.indices->data_type != DataType::kInt32 ||
       result.indices->shape != result.result.shape)) {
    return absl::InternalError("the reply has no indices that fit its scores");
  }
  if (asked.output != Output::kTopK && result.indices.has_value()) {
    return absl::InternalError("the reply has indices that were not asked for");
  }
  if (asked.log_sum_exp && !result.log_sum_exp.has_value()) {
    return absl::InternalError("the reply has no log-sum-exp");
  }
  return absl::OkStatus();
}

// `name` is that in ScoreResponse.
absl::Status WriteOptional(const std::string& path, absl::string_view name,
                           const std::optional<Tensor>& tensor) {
  return path.empty() ? absl::OkStatus() : WriteTensorFile(path, name, tensor->View());
}

absl::Status Deliver(const ScoreResult& result, const ScoreCommandOptions& to) {
  std::vector<float> elements;
  if (to.out.empty() || !to.heatmap.empty()) elements = ElementsAsFloat(result.result.View());
  if (to.out.empty()) {
    Show(result, elements);
  } else if (absl::Status status = WriteTensorFile(to.out, "result", result.result.View());
             !status.ok()) {
    return status;
  }
  absl::Status status = WriteOptional(to.indices_out, "indices", result.indices);
  if (status.ok()) status = WriteOptional(to.log_sum_exp_out, "log_sum_exp", result.log_sum_exp);
  if (status.ok() && !to.heatmap.empty()) {
    status = WriteHeatMapPng(to.heatmap, elements, result.result.shape);
  }
  return status;
}

absl::StatusOr<ScoreResult> Score(Client& client, const ScoreInputs& inputs) {
  const TensorView queries = inputs.queries.View();
  return inputs.key_set.has_value() ? client.Score(queries, *inputs.key_set, inputs.options)
                                    : client.Score(queries, inputs.keys.View(), inputs.options);
}

absl::Status Run(const ScoreCommandOptions& options) {
  absl::StatusOr<ScoreInputs> inputs = ReadScoreInputs(options);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient(options.connection);
  if (!client.ok()) return client.status();
  absl::StatusOr<ScoreResult> result = Score(**client, *inputs);
  if (!result.ok()) return result.status();
  absl::Status status = CheckReply(inputs->options, *result);
  if (status.ok()) status = Deliver(*result, options);
  if (status.ok() && (options.receipt || IsTerminal(STDERR_FILENO))) {
    std::fprintf(stderr, "%s\n", ReceiptText(result->receipt).c_str());
  }
  return status;
}

constexpr absl::string_view kDetails =
    R"(The stages follow each other; --output says which one is returned:
  scores   scale * q·k                                                 [.., n, m]
  capped   after --softcap                                             [.., n, m]
  masked   after --mask, --causal, the window and --key_lengths,
           which hold together; -inf where a key is not attended       [.., n, m]
  weights  softmax of masked over the keys                             [.., n, m]
  context  weights times --values                                      [.., n, dv]
  top_k    the --top_k best masked scores of each query, best first,
           and their keys: key -1 and score -inf where fewer are left  [.., n, top_k]
Keys, and values, come from files or from a key set on the server ('qkctl keys'). Leading dimensions
of queries and keys are equal, or 1; heads of keys may be fewer by a whole factor. Files are NumPy's
.npy, float32 or float16, or .safetensors, bfloat16 too: FILE.safetensors:TENSOR names a
tensor; without, queries, keys, values or mask is looked for, or the only one is taken.
What is not given is left to the server. A terminal also shows a heat map, unless NO_COLOR is set.
In --heatmap, as there, dark blue is the smallest value, yellow the largest and grey what is not
finite.
)";

constexpr absl::string_view kMoreExamples =
    R"(  qkctl score --queries=q.npy --keys=k.npy --values=v.npy --scale=auto --causal --output=context
  qkctl score --queries=q.npy --key_set=items --output=top_k --top_k=10 --indices_out=i.npy
  qkctl score --queries=q.npy --keys=k.npy --key_lengths=7,9 --output=weights --heatmap=w.png
)";

}  // namespace

Command ScoreCommand() {
  Command command;
  command.name = "score";
  command.summary = "Scores queries against keys, and what attention makes of the scores.";
  command.example = "qkctl score --queries=q.npy --keys=k.npy --scale=auto --out=scores.npy";
  command.details = kDetails;
  command.more_examples = kMoreExamples;
  return WithOptions<ScoreCommandOptions>(std::move(command), &Run);
}

std::string ReceiptText(const Receipt& receipt) {
  return absl::StrCat(
      absl::StrFormat("queued %.3f ms, computed %.3f ms, %d requests and %d rows in its batch, %s",
                      absl::ToDoubleMilliseconds(receipt.queued),
                      absl::ToDoubleMilliseconds(receipt.computed), receipt.batch_requests,
                      receipt.batch_rows, Printable(receipt.kernel)),
      receipt.key_set_version == 0
          ? ""
          : absl::StrCat(", version ", receipt.key_set_version, " of the key set"));
}

}  // namespace qkserve
