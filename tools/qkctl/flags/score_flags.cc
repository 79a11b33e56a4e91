#include "tools/qkctl/flags/score_flags.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/qkctl/flags/key_set_flags.h"
#include "tools/qkctl/flags/output_flags.h"
#include "tools/qkctl/flags/queries_flag.h"
#include "tools/qkctl/flags/shared_flags.h"
#include "tools/qkctl/flags/storage_flag.h"
#include "tools/qkctl/flags/tensor_flags.h"
#include "tools/qkctl/input/npy.h"
#include "tools/qkctl/input/tensor_file.h"

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

// --key_lengths=FILE.npy|N,N,...
struct KeyLengthsFlag {
  std::vector<int64_t> lengths;
  std::string path;  // where they are in a file
};

bool AbslParseFlag(absl::string_view text, KeyLengthsFlag* flag, std::string* error) {
  *flag = KeyLengthsFlag();
  if (text.find_first_not_of("0123456789-+, ") != absl::string_view::npos) {
    flag->path = std::string(text);
    return true;
  }
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t length = 0;
    if (!absl::SimpleAtoi(part, &length)) {
      *error = "expected a file or whole numbers with commas between them";
      return false;
    }
    flag->lengths.push_back(length);
  }
  return true;
}

std::string AbslUnparseFlag(const KeyLengthsFlag& flag) {
  return flag.path.empty() ? absl::StrJoin(flag.lengths, ",") : flag.path;
}

}  // namespace qkserve

ABSL_FLAG(std::optional<qkserve::ScaleFlag>, scale, std::nullopt,
          "Factor on every q·k; auto means 1/sqrt(d). 1 unless given");
ABSL_FLAG(std::optional<float>, softcap, std::nullopt,
          "C > 0: a score s becomes C * tanh(s / C). None unless given");
ABSL_FLAG(bool, causal, false, "Query i attends key j only if j <= i + offset");
ABSL_FLAG(std::optional<int64_t>, window_left, std::nullopt,
          "Query i attends key j only if j >= i + offset - N; -1, or not given, for no bound");
ABSL_FLAG(std::optional<int64_t>, window_right, std::nullopt,
          "Query i attends key j only if j <= i + offset + N; -1, or not given, for no bound");
ABSL_FLAG(std::optional<int64_t>, offset, std::nullopt,
          "How many keys precede the first query, for --causal and windows; may be negative. 0 "
          "unless given; not together with --key_lengths, which set it to length - n");
ABSL_FLAG(std::optional<qkserve::KeyLengthsFlag>, key_lengths, std::nullopt,
          "One number a batch: keys at or beyond it are not attended. Numbers with commas between "
          "them, or an .npy file of int64");
ABSL_FLAG(std::string, mask, "",
          "File of bool (.npy; true: attend) or float (added to the score). Right-aligned against "
          "[.., n, m]; leading dimensions equal or 1; keys beyond the last are not attended");
ABSL_FLAG(qkserve::FloatTypeFlag, result_type, {},
          "Element type of the result: float32, float16 or bfloat16");
ABSL_FLAG(std::string, out, "",
          ".npy or .safetensors file to write the result to, - for standard output; shown as text "
          "where not given");
ABSL_FLAG(std::string, indices_out, "",
          ".npy file to write the int32 keys of --output=top_k to, [.., n, top_k]");
ABSL_FLAG(
    std::string, log_sum_exp_out, "",
    ".npy or .safetensors file to write each query's ln(sum(exp(masked score))) to, [.., n], for "
    "--output=weights and context");
ABSL_FLAG(std::string, heatmap, "", ".png file to draw the result into");
ABSL_FLAG(bool, receipt, false,
          "Tell on standard error how the request was answered; done anyway where that is a "
          "terminal");

namespace qkserve {
namespace {

absl::Status WrongUsage(absl::string_view message) { return absl::InvalidArgumentError(message); }

// Where the keys, and values, come from.
absl::Status CheckKeys() {
  const bool has_key_set = !absl::GetFlag(FLAGS_key_set).empty();
  const bool has_values = !absl::GetFlag(FLAGS_values).empty();
  const OutputFlag flag = OutputFromFlag();
  const std::string with = absl::StrCat("--output=", AbslUnparseFlag(flag));
  if (absl::GetFlag(FLAGS_keys).empty() != has_key_set) {
    return WrongUsage(has_key_set ? "--keys and --key_set exclude each other"
                                  : "--keys or --key_set is required");
  }
  if (has_key_set && has_values) return WrongUsage("--values: a key set has its own");
  if (flag.value == Output::kContext && !has_values && !has_key_set) {
    return WrongUsage(absl::StrCat(with, " requires --values"));
  }
  if (flag.value != Output::kContext && has_values) {
    return WrongUsage(absl::StrCat("--values is for --output=context only; with ", with));
  }
  return CheckKeySetFlags();
}

// What goes with some outputs alone.
absl::Status CheckOutput(const ScoreDestinations& to) {
  const OutputFlag flag = OutputFromFlag();
  absl::Status status = CheckTopK(flag.value, absl::GetFlag(FLAGS_top_k));
  if (!status.ok()) return status;
  const Output output = flag.value;
  const std::string with = absl::StrCat("--output=", AbslUnparseFlag(flag));
  if (output != Output::kTopK && !to.indices_out.empty()) {
    return WrongUsage(absl::StrCat("--indices_out is for --output=top_k only; with ", with));
  }
  if (output != Output::kWeights && output != Output::kContext && !to.log_sum_exp_out.empty()) {
    return WrongUsage(
        absl::StrCat("--log_sum_exp_out is for --output=weights and context only; with ", with));
  }
  return absl::OkStatus();
}

// What the kinds of files cannot hold.
absl::Status CheckFileTypes(const ScoreDestinations& to) {
  if (absl::GetFlag(FLAGS_result_type).value == DataType::kBfloat16 && !to.out.empty() &&
      !IsSafetensorsPath(to.out)) {
    return WrongUsage("--result_type=bfloat16 requires a .safetensors file as --out");
  }
  if (IsSafetensorsPath(to.indices_out)) {
    return WrongUsage("--indices_out is written as .npy");
  }
  return absl::OkStatus();
}

// Where text and a file, or two files, were mixed nobody could read either.
absl::Status CheckStandardOutput(const ScoreDestinations& to) {
  const int users = (to.out.empty() || to.out == "-" ? 1 : 0) + (to.indices_out == "-" ? 1 : 0) +
                    (to.log_sum_exp_out == "-" ? 1 : 0) + (to.heatmap == "-" ? 1 : 0);
  if (users <= 1) return absl::OkStatus();
  return WrongUsage(
      "standard output takes one of --out, --indices_out, --log_sum_exp_out and --heatmap; give "
      "--out a file");
}

// Not set where the server's own, 1, is meant.
std::optional<float> Scale(const std::optional<ScaleFlag>& flag, const Shape& queries_shape) {
  if (!flag.has_value()) return std::nullopt;
  if (!flag->is_auto) return flag->value;
  // Without a d there is nothing to scale: the scores are zeros, or the server refuses the shape.
  if (queries_shape.empty() || queries_shape.back() <= 0) return std::nullopt;
  return static_cast<float>(1 / std::sqrt(static_cast<double>(queries_shape.back())));
}

absl::StatusOr<std::vector<int64_t>> KeyLengths(const Shape& queries_shape) {
  const std::optional<KeyLengthsFlag> flag = absl::GetFlag(FLAGS_key_lengths);
  if (!flag.has_value()) return std::vector<int64_t>();
  if (flag->path.empty()) return flag->lengths;
  absl::StatusOr<std::vector<int64_t>> lengths = ReadNpyInt64(flag->path);
  // On the wire no lengths are the same as none given: that must not lift a limit silently.
  const bool has_batches = queries_shape.size() < 3 || queries_shape.front() > 0;
  if (lengths.ok() && lengths->empty() && has_batches) {
    return WrongUsage(absl::StrCat(flag->path, ": no lengths, expected one a batch"));
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

absl::Status CheckScoreFlags() {
  const ScoreDestinations to = ScoreDestinationsFromFlags();
  if (absl::GetFlag(FLAGS_queries).empty()) return WrongUsage("--queries is required");
  absl::Status status = CheckKeys();
  if (status.ok()) status = CheckOutput(to);
  if (status.ok()) status = CheckFileTypes(to);
  return status.ok() ? CheckStandardOutput(to) : status;
}

absl::StatusOr<ScoreInputs> ReadScoreInputs() {
  absl::StatusOr<Tensor> queries = Read(absl::GetFlag(FLAGS_queries), "queries");
  if (!queries.ok()) return queries.status();
  ScoreInputs inputs;
  inputs.queries = *std::move(queries);
  inputs.key_set = KeySetFromFlags();
  if (!inputs.key_set.has_value()) {
    absl::StatusOr<Tensor> keys = Read(absl::GetFlag(FLAGS_keys), "keys");
    if (!keys.ok()) return keys.status();
    inputs.keys = *std::move(keys);
  }

  ScoreOptions& options = inputs.options;
  absl::Status status =
      ReadOptional(absl::GetFlag(FLAGS_values), "values", &inputs.values, &options.values);
  if (!status.ok()) return status;
  status = ReadOptional(absl::GetFlag(FLAGS_mask), "mask", &inputs.mask, &options.mask);
  if (!status.ok()) return status;
  absl::StatusOr<std::vector<int64_t>> key_lengths = KeyLengths(inputs.queries.shape);
  if (!key_lengths.ok()) return key_lengths.status();
  options.key_lengths = *std::move(key_lengths);

  options.scale = Scale(absl::GetFlag(FLAGS_scale), inputs.queries.shape);
  options.softcap = absl::GetFlag(FLAGS_softcap);
  options.is_causal = absl::GetFlag(FLAGS_causal);
  options.window_left = absl::GetFlag(FLAGS_window_left);
  options.window_right = absl::GetFlag(FLAGS_window_right);
  options.offset = absl::GetFlag(FLAGS_offset);
  options.output = OutputFromFlag().value;
  options.result_type = absl::GetFlag(FLAGS_result_type).value;
  options.top_k = absl::GetFlag(FLAGS_top_k).value_or(0);
  options.log_sum_exp = !absl::GetFlag(FLAGS_log_sum_exp_out).empty();
  options.timeout = absl::GetFlag(FLAGS_timeout);
  return inputs;
}

ScoreDestinations ScoreDestinationsFromFlags() {
  return {.out = absl::GetFlag(FLAGS_out),
          .indices_out = absl::GetFlag(FLAGS_indices_out),
          .log_sum_exp_out = absl::GetFlag(FLAGS_log_sum_exp_out),
          .heatmap = absl::GetFlag(FLAGS_heatmap),
          .receipt = absl::GetFlag(FLAGS_receipt)};
}

}  // namespace qkserve
