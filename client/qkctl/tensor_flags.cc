#include "client/qkctl/tensor_flags.h"

#include "absl/flags/flag.h"

ABSL_FLAG(std::string, keys, "",
          ".npy or .safetensors file of the keys: [m, d], [batch, m, d] or [batch, heads, m, d]");
ABSL_FLAG(std::string, values, "",
          ".npy or .safetensors file of the values, [.., m, dv], for --output=context");
