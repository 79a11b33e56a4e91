#include "tools/qkctl/commands/flag_values.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "grpcpp/client_context.h"
#include "qkserve/channel.h"
#include "qkserve/metadata.h"

namespace qkserve {
namespace {

// The names of the float types, in the order of DataType from its first value on.
constexpr std::array<absl::string_view, 3> kFloatTypeNames = {"float32", "float16", "bfloat16"};

template <typename Enum>
bool ParseName(absl::Span<const absl::string_view> names, absl::string_view text, Enum* value,
               std::string* error) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    *error = "expected " + JoinNames(names, "or");
    return false;
  }
  *value = static_cast<Enum>(found - names.begin() + 1);
  return true;
}

}  // namespace

bool ParseFlag(absl::string_view text, Output* output, std::string* error) {
  return ParseName(kOutputNames, text, output, error);
}

bool ParseFlag(absl::string_view text, DataType* type, std::string* error) {
  return ParseName(kFloatTypeNames, text, type, error);
}

std::string FlagText(DataType type) {
  return std::string(kFloatTypeNames[static_cast<size_t>(type) - 1]);
}

std::string JoinNames(absl::Span<const absl::string_view> names, absl::string_view conjunction) {
  if (names.size() == 1) return std::string(names[0]);
  return absl::StrCat(absl::StrJoin(names.first(names.size() - 1), ", "), " ", conjunction, " ",
                      names.back());
}

absl::Status NameFlag(absl::string_view flag, const absl::Status& error) {
  return absl::Status(error.code(), absl::StrCat("--", flag, ": ", error.message()));
}

absl::StatusOr<TensorFile> OpenTensorOfFlag(absl::string_view flag, const std::string& path) {
  absl::StatusOr<TensorFile> file = OpenTensorFile(path, flag);
  if (!file.ok()) return NameFlag(flag, file.status());
  return file;
}

absl::Status CheckUsage(std::initializer_list<WrongUsage> mistakes) {
  const auto first = std::find_if(mistakes.begin(), mistakes.end(),
                                  [](const WrongUsage& mistake) { return mistake.is_made; });
  return first == mistakes.end() ? absl::OkStatus() : absl::InvalidArgumentError(first->message);
}

absl::Status CheckTopK(Output output, std::optional<int64_t> top_k) {
  const std::string with = absl::StrCat("--output=", OutputName(output));
  const bool wants_k = output == Output::kTopK;
  return CheckUsage({{wants_k && !top_k.has_value(), absl::StrCat(with, " requires --top_k")},
                     {!wants_k && top_k.has_value(),
                      absl::StrCat("--top_k is for --output=top_k only; with ", with)},
                     {top_k.value_or(1) < 1,
                      absl::StrCat("--top_k must be 1 or more; was ", top_k.value_or(1))}});
}

void KeySetOptions::AddFlags(Flags& flags) {
  flags.Add("key_set", &name,
            "Name of a key set on the server, in place of sending keys and values");
  flags.Add("key_set_version", &version,
            "The only version of --key_set to accept; the newest unless given");
}

std::optional<KeySetReference> KeySetOptions::Reference() const {
  if (name.empty()) return std::nullopt;
  return KeySetReference{name, version};
}

bool ParseFlag(absl::string_view text, Priority* priority, std::string* error) {
  *error = "expected normal or low";
  *priority = text == PriorityName(Priority::kLow) ? Priority::kLow : Priority::kNormal;
  return text == PriorityName(*priority);
}

std::string FlagText(Priority priority) { return std::string(PriorityName(priority)); }

void CallerOptions::AddFlags(Flags& flags) {
  flags.BeginGroup("Tenant; each flag has a variable, as QKCTL_TENANT");
  flags.Add("tenant", &tenant,
            "Who pays for the requests, for servers that share their time between tenants; they "
            "go by identity or address unless given",
            {.may_be_empty = true});
  flags.Add("priority", &priority, "normal, or low: the tenant's normal requests go first");
}

absl::Status CallerOptions::Validate() const {
  grpc::ClientContext probe;
  const absl::Status status = AddMetadata(probe, CallerMetadata(tenant, priority));
  return CheckUsage({{!status.ok(), absl::StrCat("--tenant: ", status.message())}});
}

void AddKeysFlags(Flags& flags, std::string* keys, std::string* values) {
  flags.Add("keys", keys,
            ".npy or .safetensors file of the keys: [m,d]; the commands score and keys also take "
            "[batch,m,d] and [batch,heads,m,d]");
  flags.Add("values", values,
            ".npy or .safetensors file of the values, [..,m,dv], for --output=context");
}

void AddStorageFlag(Flags& flags, std::optional<DataType>* storage) {
  flags.Add(
      "storage", storage,
      "Type in which the server stores keys and values: float32, float16 or bfloat16. 16 bits "
      "halve memory and reading time, and round to nearest. Unless given, the type that is sent");
}

void AddOutputFlags(Flags& flags, std::optional<Output>* output, std::optional<int64_t>* top_k) {
  flags.Add(
      "output", output,
      absl::StrCat("What to return: ", JoinNames(kOutputNames, "or"), "; scores unless given"));
  flags.Add("top_k", top_k, "Keys to return for each query, only with --output=top_k");
}

}  // namespace qkserve
