#include "tools/qkctl/flags/queries_flag.h"

#include "absl/flags/flag.h"

ABSL_FLAG(std::string, queries, "",
          ".npy or .safetensors file of the queries. score: [n, d], [batch, n, d] or [batch, "
          "heads, n, d], required. load: [rows, d], of which requests take --n in turn");
