#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_FLAG_VALUES_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_FLAG_VALUES_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/flags.h"
#include "formats/tensor_file.h"
#include "qkserve/caller.h"
#include "qkserve/key_set.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"
#include "tools/load/workload.h"

// The values of flags that several commands have.

namespace qkserve {

// Takes one of kOutputNames.
bool ParseFlag(absl::string_view text, Output* output, std::string* error);

// Takes float32, float16 or bfloat16.
bool ParseFlag(absl::string_view text, DataType* type, std::string* error);
std::string FlagText(DataType type);

// A possible mistake in how flags are given, and the message for it.
struct WrongUsage {
  bool is_made;
  std::string message;
};

// Returns the mistake "--FLAG must be from MIN to MAX; was VALUE". nullopt is in range.
template <typename T>
WrongUsage OutOfRange(absl::string_view flag, const std::optional<T>& value,
                      std::type_identity_t<T> min, std::type_identity_t<T> max) {
  const T number = value.value_or(min);
  return {!(number >= min && number <= max),
          absl::StrCat("--", flag, " must be from ", min, " to ", max, "; was ", number)};
}

// Returns "a, b or c" if the conjunction is "or". There must be a name.
std::string JoinNames(absl::Span<const absl::string_view> names, absl::string_view conjunction);

// Returns the error of reading or checking the file of --FLAG, with the flag before its message.
absl::Status NameFlag(absl::string_view flag, const absl::Status& error);

// Opens the tensor file of a flag that has the tensor's name: queries, keys, values or mask. Errors
// are those of OpenTensorFile and name the flag, too.
absl::StatusOr<TensorFile> OpenTensorOfFlag(absl::string_view flag, const std::string& path);

// Returns INVALID_ARGUMENT with the message of the first mistake that was made.
absl::Status CheckUsage(std::initializer_list<WrongUsage> mistakes);

// Checks --top_k. INVALID_ARGUMENT: k is missing, has no use, or is less than 1.
absl::Status CheckTopK(Output output, std::optional<int64_t> top_k);

// The flags that name a key set on the server.
struct KeySetOptions {
  std::string name;  // empty: none
  std::optional<int64_t> version;

  void AddFlags(Flags& flags);
  WrongUsage VersionWithoutName() const {
    return {name.empty() && version.has_value(), "--key_set_version requires --key_set"};
  }
  // Returns the key set that the flags name, or nullopt if they name none.
  std::optional<KeySetReference> Reference() const;
};

// Takes one of kPriorityNames.
bool ParseFlag(absl::string_view text, Priority* priority, std::string* error);
std::string FlagText(Priority priority);

// The tenant that pays for requests, and how urgent they are.
struct CallerOptions {
  std::string tenant;  // empty: none
  Priority priority = Priority::kNormal;

  void AddFlags(Flags& flags);
  // INVALID_ARGUMENT: metadata cannot carry the tenant's name. The server checks the other rules.
  absl::Status Validate() const;
};

// Adds the flags --keys and --values, which take paths of files.
void AddKeysFlags(Flags& flags, std::string* keys, std::string* values);
void AddStorageFlag(Flags& flags, std::optional<DataType>* storage);
void AddOutputFlags(Flags& flags, std::optional<Output>* output, std::optional<int64_t>* top_k);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_FLAG_VALUES_H_
