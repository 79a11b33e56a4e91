#include "qkserve/key_set.h"

#include <cstring>

namespace qkserve {

TensorSource::TensorSource(const TensorView& tensor)
    : spec{tensor.data_type, tensor.shape},
      read([data = tensor.data](int64_t offset, absl::Span<char> out) {
        std::memcpy(out.data(), data + offset, out.size());
        return absl::OkStatus();
      }) {}

}  // namespace qkserve
