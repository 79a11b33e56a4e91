#include "client/upload.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qkserve {
namespace {

absl::StatusOr<int64_t> SourceBytes(absl::string_view name, const TensorSpec& spec) {
  const std::optional<int64_t> count = ElementCount(spec.shape);
  int64_t bytes = 0;
  if (!count.has_value() || __builtin_mul_overflow(*count, ElementBytes(spec.data_type), &bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": shape ", ShapeString(spec.shape), " is not one of a tensor"));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<Upload> MakeUpload(const TensorSource& keys,
                                  const std::optional<TensorSource>& values,
                                  const UploadProgress& progress, int64_t chunk_bytes) {
  if (chunk_bytes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("chunk_bytes must be positive; was ", chunk_bytes));
  }
  absl::StatusOr<int64_t> keys_bytes = SourceBytes("keys", keys.spec);
  if (!keys_bytes.ok()) return keys_bytes.status();
  absl::StatusOr<int64_t> values_bytes = 0;
  if (values.has_value()) values_bytes = SourceBytes("values", values->spec);
  if (!values_bytes.ok()) return values_bytes.status();
  int64_t sum = 0;
  if (__builtin_add_overflow(*keys_bytes, *values_bytes, &sum)) {
    return absl::InvalidArgumentError("keys and values together do not fit in 64 bits");
  }
  return Upload{keys, values, progress, chunk_bytes, *keys_bytes, *values_bytes};
}

}  // namespace qkserve
