#include "client/tensor_bytes.h"

#include "base/invalid_argument.h"

namespace qkserve {

absl::StatusOr<int64_t> TensorBytes(absl::string_view name, DataType data_type, const Shape& shape,
                                    std::optional<int64_t> size_bytes) {
  const std::optional<int64_t> bytes = ByteCount(shape, ElementBytes(data_type));
  if (!bytes.has_value()) {
    return InvalidArgument(name, ": shape ", ShapeString(shape), " is not one of a tensor");
  }
  if (size_bytes.value_or(*bytes) != *bytes) {
    return InvalidArgument(name, ": got ", *size_bytes, " bytes, expected ", *bytes, " for ",
                           DataTypeName(data_type), " ", ShapeString(shape));
  }
  return *bytes;
}

}  // namespace qkserve
