#include "tools/qkctl/commands/score_options.h"

#include <cmath>
#include <initializer_list>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "formats/tensor_file.h"

namespace qkserve {
namespace {

// Returns a mistake, which is made if the path ends in none of `ends`. Devices and standard output
// may have any end.
WrongUsage WrongEnd(absl::string_view flag, const std::string& path,
                    std::initializer_list<absl::string_view> ends) {
  bool is_wrong = !path.empty() && path != "-" && !absl::StartsWith(path, "/dev/");
  for (const absl::string_view end : ends) is_wrong = is_wrong && !absl::EndsWith(path, end);
  return {is_wrong, absl::StrCat("--", flag, ": expected FILE", absl::StrJoin(ends, " or FILE"),
                                 ", got ", path)};
}

}  // namespace

bool ParseFlag(absl::string_view text, ScaleValue* scale, std::string* error) {
  *scale = {.is_auto = text == "auto"};
  if (scale->is_auto) return true;
  if (absl::SimpleAtof(text, &scale->value) && std::isfinite(scale->value)) return true;
  *error = "expected a finite number or auto";
  return false;
}

bool ParseFlag(absl::string_view text, KeyLengthsValue* key_lengths, std::string* error) {
  *key_lengths = {};
  *error = "expected whole numbers with commas between them, or an .npy file";
  if (text.find_first_not_of("0123456789-+, ") != absl::string_view::npos) {
    key_lengths->path = std::string(text);
    return absl::EndsWith(text, ".npy") || absl::StrContains(text, "/");
  }
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t length = 0;
    if (!absl::SimpleAtoi(part, &length)) return false;
    key_lengths->lengths.push_back(length);
  }
  return true;
}

void ScoreCommandOptions::AddFlags(Flags& flags) {
  flags.BeginGroup("Input", Flags::Variables::kNone);
  flags.Add("queries", &queries,
            ".npy or .safetensors file of the queries: [n,d], [batch,n,d] or [batch,heads,n,d]; "
            "required");
  AddKeysFlags(flags, &keys, &values);
  key_set.AddFlags(flags);

  flags.BeginGroup("Attention", Flags::Variables::kNone);
  flags.Add("scale", &scale, "Factor on every q·k; auto means 1/sqrt(d). 1 unless given");
  flags.Add("softcap", &softcap, "C > 0: a score s becomes C * tanh(s / C). None unless given");
  flags.Add("causal", &causal, "Query i attends key j only if j <= i + offset");
  flags.Add("window_left", &window_left,
            "Query i attends key j only if j >= i + offset - N; no bound if -1 or not given");
  flags.Add("window_right", &window_right,
            "Query i attends key j only if j <= i + offset + N; no bound if -1 or not given");
  flags.Add("offset", &offset,
            "How many keys precede the first query, for --causal and windows; may be negative. 0 "
            "unless given. Not together with --key_lengths, because these set it to length - n");
  flags.Add("key_lengths", &key_lengths,
            "One number for each batch: keys at or beyond it are not attended. Give numbers with "
            "commas between them, or an .npy file of int64");
  flags.Add(
      "mask", &mask,
      "File of bool (.npy), true if a key is attended, or of float, added to the score. Its "
      "shape is right-aligned against [..,n,m]; leading dimensions are equal or 1; keys beyond "
      "its last are not attended");

  flags.BeginGroup("Result", Flags::Variables::kNone);
  AddOutputFlags(flags, &output, &top_k);
  flags.Add("result_type", &result_type,
            "Element type of the result: float32, float16 or bfloat16");
  flags.Add("out", &out,
            ".npy or .safetensors file for the result, - for standard output; unless given, the "
            "result is shown as text");
  flags.Add("indices_out", &indices_out,
            ".npy file for the int32 keys of --output=top_k, [..,n,top_k]");
  flags.Add("log_sum_exp_out", &log_sum_exp_out,
            ".npy or .safetensors file for each query's ln(sum(exp(masked score))), [..,n], for "
            "--output=weights and context");
  flags.Add("heatmap", &heatmap, ".png file to draw the result into");
  flags.Add("receipt", &receipt,
            "Show on standard error how the request was answered; always shown if that is a "
            "terminal");
  caller.AddFlags(flags);
}

std::vector<FlagFile> ScoreCommandOptions::Inputs() const {
  return {{"queries", FileOfTensorPath(queries)},
          {"keys", FileOfTensorPath(keys)},
          {"values", FileOfTensorPath(values)},
          {"mask", FileOfTensorPath(mask)},
          {"key_lengths", key_lengths.value_or(KeyLengthsValue()).path}};
}

std::vector<FlagFile> ScoreCommandOptions::Outputs() const {
  return {{"out", out},
          {"indices_out", indices_out},
          {"log_sum_exp_out", log_sum_exp_out},
          {"heatmap", heatmap}};
}

std::string ScoreCommandOptions::WithoutEffect() const {
  const Output wanted = OutputOrDefault();
  if (wanted != Output::kScores && wanted != Output::kCapped) return "";
  std::vector<absl::string_view> flags;
  const auto add_if = [&flags](bool is_given, const char* flag) {
    if (is_given) flags.emplace_back(flag);
  };
  add_if(softcap.has_value() && wanted == Output::kScores, "--softcap");
  add_if(causal, "--causal");
  add_if(window_left.has_value(), "--window_left");
  add_if(window_right.has_value(), "--window_right");
  add_if(offset.has_value(), "--offset");
  add_if(key_lengths.has_value(), "--key_lengths");
  add_if(!mask.empty(), "--mask");
  if (flags.empty()) return "";
  return absl::StrCat(JoinNames(flags, "and"), flags.size() == 1 ? " has" : " have",
                      " no effect with --output=", OutputName(wanted));
}

absl::Status ScoreCommandOptions::Validate() const {
  const bool has_key_set = !key_set.name.empty();
  const bool has_values = !values.empty();
  const Output wanted = OutputOrDefault();
  const bool is_context = wanted == Output::kContext;
  const std::string with = absl::StrCat("--output=", OutputName(wanted));
  RETURN_IF_ERROR(CheckUsage(
      {{queries.empty(), "--queries is required"},
       {keys.empty() && !has_key_set, "--keys or --key_set is required"},
       {!keys.empty() && has_key_set, "--keys and --key_set exclude each other"},
       {has_key_set && has_values, "--values: a key set has its own"},
       {is_context && !has_values && !has_key_set, absl::StrCat(with, " requires --values")},
       {!is_context && has_values,
        absl::StrCat("--values is for --output=context only; with ", with)},
       key_set.VersionWithoutName()}));
  RETURN_IF_ERROR(CheckTopK(wanted, top_k));
  RETURN_IF_ERROR(caller.Validate());
  int standard_outputs = out.empty() ? 1 : 0;
  for (const std::string& path : {out, indices_out, log_sum_exp_out, heatmap}) {
    standard_outputs += path == "-" ? 1 : 0;
  }
  return CheckUsage(
      {{wanted != Output::kTopK && !indices_out.empty(),
        absl::StrCat("--indices_out is for --output=top_k only; with ", with)},
       {wanted != Output::kWeights && !is_context && !log_sum_exp_out.empty(),
        absl::StrCat("--log_sum_exp_out is for --output=weights and context only; with ", with)},
       // An .npy file cannot hold bfloat16.
       {result_type == DataType::kBfloat16 && !out.empty() && !IsSafetensorsPath(out),
        "--result_type=bfloat16 requires a .safetensors file as --out"},
       // The end of a file's name must tell its format.
       WrongEnd("out", out, {".npy", ".safetensors"}),
       WrongEnd("indices_out", indices_out, {".npy"}),
       WrongEnd("log_sum_exp_out", log_sum_exp_out, {".npy", ".safetensors"}),
       WrongEnd("heatmap", heatmap, {".png"}),
       // On standard output, two files, or a file and text, could not be told apart.
       {standard_outputs > 1,
        "standard output takes one of --out, --indices_out, --log_sum_exp_out and --heatmap; give "
        "--out a file"}});
}

}  // namespace qkserve
