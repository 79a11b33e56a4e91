#include "client/qkctl/command_score.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/qkctl/float16.h"
#include "client/qkctl/npy.h"
#include "client/qkctl/shared_flags.h"
#include "client/qkctl/terminal_matrix.h"

namespace qkserve {

// --scale=X|auto
struct ScaleFlag {
  bool is_auto = false;
  float value = 1;
};

bool AbslParseFlag(absl::string_view text, ScaleFlag* scale, std::string* error) {
  *scale = ScaleFlag();
  if (text == "auto") {
    scale->is_auto = true;
    return true;
  }
  if (absl::SimpleAtof(text, &scale->value) && std::isfinite(scale->value)) return true;
  *error = "expected a finite number or auto";
  return false;
}

std::string AbslUnparseFlag(const ScaleFlag& scale) {
  return scale.is_auto ? "auto" : absl::StrCat(scale.value);
}

// --result_type=float32|float16
struct ResultTypeFlag {
  DataType value = DataType::kFloat32;
};

bool AbslParseFlag(absl::string_view text, ResultTypeFlag* type, std::string* error) {
  if (text == "float32") {
    type->value = DataType::kFloat32;
  } else if (text == "float16") {
    type->value = DataType::kFloat16;
  } else {
    *error = "expected float32 or float16";
    return false;
  }
  return true;
}

std::string AbslUnparseFlag(const ResultTypeFlag& type) {
  return type.value == DataType::kFloat16 ? "float16" : "float32";
}

}  // namespace qkserve

ABSL_FLAG(std::string, queries, "",
          ".npy file of the queries, [n, d], [batch, n, d] or [batch, heads, n, d]. Required");
ABSL_FLAG(std::string, keys, "", ".npy file of the keys, [.., m, d]. Required");
ABSL_FLAG(qkserve::ScaleFlag, scale, {}, "Factor on every q·k; auto means 1/sqrt(d)");
ABSL_FLAG(qkserve::ResultTypeFlag, result_type, {},
          "Element type of the scores: float32 or float16");
ABSL_FLAG(std::string, out, "",
          ".npy file to write the scores to, - for standard output; shown as text where not given");
ABSL_FLAG(bool, receipt, false,
          "Tell on standard error how the request was answered; done anyway where that is a "
          "terminal");

namespace qkserve {
namespace {

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_queries).empty()) {
    return absl::InvalidArgumentError("--queries is required");
  }
  if (absl::GetFlag(FLAGS_keys).empty()) {
    return absl::InvalidArgumentError("--keys is required");
  }
  return absl::OkStatus();
}

// Not set where the server's own, 1, is meant.
std::optional<float> Scale(const ScaleFlag& flag, const Shape& queries_shape) {
  if (!flag.is_auto) return flag.value;
  // Without a d there is nothing to scale: the scores are zeros, or the server refuses the shape.
  if (queries_shape.empty() || queries_shape.back() <= 0) return std::nullopt;
  return static_cast<float>(1 / std::sqrt(static_cast<double>(queries_shape.back())));
}

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

void Show(const TensorView& scores) {
  const std::vector<float> elements = ElementsAsFloat(scores);
  std::fputs(TensorText(elements, scores.shape).c_str(), stdout);
  if (!WantsColor() || elements.empty()) return;
  std::fputs("\n", stdout);
  std::fputs(TensorHeatMap(elements, scores.shape, HeatMapOfTerminal()).c_str(), stdout);
}

absl::Status Run() {
  absl::StatusOr<Tensor> queries = ReadNpy(absl::GetFlag(FLAGS_queries));
  if (!queries.ok()) return queries.status();
  absl::StatusOr<Tensor> keys = ReadNpy(absl::GetFlag(FLAGS_keys));
  if (!keys.ok()) return keys.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();

  ScoreOptions options;
  options.scale = Scale(absl::GetFlag(FLAGS_scale), queries->shape);
  options.result_type = absl::GetFlag(FLAGS_result_type).value;
  options.timeout = absl::GetFlag(FLAGS_timeout);
  absl::StatusOr<ScoreResult> result = (*client)->Score(queries->View(), keys->View(), options);
  if (!result.ok()) return result.status();

  const std::string out = absl::GetFlag(FLAGS_out);
  if (out.empty()) {
    Show(result->result.View());
  } else if (absl::Status status = WriteNpy(out, result->result.View()); !status.ok()) {
    return status;
  }
  if (absl::GetFlag(FLAGS_receipt) || IsTerminal(STDERR_FILENO)) {
    std::fprintf(stderr, "%s\n", ReceiptText(result->receipt).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

Command ScoreCommand() {
  Command command;
  command.name = "score";
  command.summary = "Computes scale * q·k of every query with every key.";
  command.example = "qkctl score --queries=q.npy --keys=k.npy --scale=auto --out=scores.npy";
  command.details =
      "Files are NumPy's, float32 or float16, in C order. A terminal also shows a heat map, "
      "unless\n"
      "NO_COLOR is set.\n";
  command.flag_files = {"/qkctl/command_score.cc"};
  command.check_flags = &CheckFlags;
  command.run = &Run;
  return command;
}

std::string ReceiptText(const Receipt& receipt) {
  return absl::StrFormat(
      "queued %.3f ms, computed %.3f ms, %d requests and %d rows in its batch, %s",
      absl::ToDoubleMilliseconds(receipt.queued), absl::ToDoubleMilliseconds(receipt.computed),
      receipt.batch_requests, receipt.batch_rows, Printable(receipt.kernel));
}

}  // namespace qkserve
