#include "tools/qkctl/flags/tensor_flags.h"

#include "absl/flags/flag.h"

ABSL_FLAG(std::string, keys, "",
          ".npy or .safetensors file of the keys: [m, d]; score and keys take [batch, m, d] and "
          "[batch, heads, m, d], too");
ABSL_FLAG(std::string, values, "",
          ".npy or .safetensors file of the values, [.., m, dv], for --output=context");
