#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_FLAG_VALUES_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_FLAG_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/flags.h"
#include "qkserve/key_set.h"
#include "qkserve/output.h"
#include "qkserve/tensor.h"

// The values of flags that several commands have.

namespace qkserve {

// "top_k"
absl::string_view OutputName(Output output);

// scores, capped, masked, weights, context or top_k.
bool ParseFlag(absl::string_view text, Output* output, std::string* error);

// float32, float16 or bfloat16.
bool ParseFlag(absl::string_view text, DataType* type, std::string* error);
std::string FlagText(DataType type);

// INVALID_ARGUMENT: the k of --top_k is missing, has no use, or is less than 1.
absl::Status CheckTopK(Output output, std::optional<int64_t> top_k);

// A key set that is on the server.
struct KeySetOptions {
  std::string name;  // empty: none
  std::optional<int64_t> version;

  void AddFlags(Flags& flags);
  // INVALID_ARGUMENT: a version without a name.
  absl::Status Validate() const;
  std::optional<KeySetReference> Reference() const;
};

// The flags --keys and --values: paths of files.
void AddKeysFlags(Flags& flags, std::string* keys, std::string* values);
void AddStorageFlag(Flags& flags, std::optional<DataType>* storage);
void AddOutputFlags(Flags& flags, std::optional<Output>* output, std::optional<int64_t>* top_k);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_FLAG_VALUES_H_
