#include "server/rpc/key_set_codec.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "server/admission/field_error.h"

namespace qkserve {
namespace {

absl::Status DecodeShape(const v1::TensorSpec& spec, absl::string_view field, Shape& shape) {
  if (spec.shape_size() < 2 || spec.shape_size() > 4) {
    return FieldError(field, absl::StrCat("rank ", spec.shape_size()), "rank 2, 3 or 4");
  }
  shape.assign(spec.shape().begin(), spec.shape().end());
  // A size of 0 counts as 1 in the product, because the other sizes must be limited even then.
  Shape sizes = shape;
  std::replace(sizes.begin(), sizes.end(), int64_t{0}, int64_t{1});
  constexpr int64_t kSizeMax = kKeySetKeysMax;
  const bool fits = std::all_of(shape.begin(), shape.end(),
                                [](int64_t size) { return size >= 0 && size <= kSizeMax; });
  const std::optional<int64_t> elements = fits ? ElementCount(sizes) : std::nullopt;
  const auto refuse = [&](const auto&... expected) {
    return FieldError(field, ShapeString(shape), absl::StrCat(expected...));
  };
  if (!elements.has_value() || *elements > kKeySetElementsMax) {
    return refuse("sizes from 0 to ", kSizeMax, ", at most ", kKeySetElementsMax, " elements");
  }
  if (shape.back() > kKeySetColumnsMax) {
    return refuse("at most ", kKeySetColumnsMax, " in the last dimension");
  }
  const auto leading = absl::MakeConstSpan(sizes).first(sizes.size() - 2);
  if (*ElementCount(leading) > kKeySetMatricesMax) {
    return refuse("at most ", kKeySetMatricesMax, " in the leading dimensions");
  }
  return absl::OkStatus();
}

// Reads the shape and type of an announced tensor.
absl::Status DecodeSpec(const v1::TensorSpec& spec, absl::string_view name, TensorView& tensor) {
  RETURN_IF_ERROR(DecodeShape(spec, absl::StrCat(name, ".shape"), tensor.shape));
  return DecodeFloatType(spec.data_type(), absl::StrCat(name, ".data_type"), tensor.data_type);
}

// Reads what puts and appends have in common: types and shapes of the new rows.
template <class Header>
absl::StatusOr<KeySetUploadSpec> DecodeTensors(const Header& header) {
  RETURN_IF_ERROR(ValidateKeySetName(header.name()));
  if (!header.has_keys()) return FieldError("keys", "none", "a data_type and a shape");
  TensorView keys;
  RETURN_IF_ERROR(DecodeSpec(header.keys(), "keys", keys));
  KeySetUploadSpec spec;
  spec.name = header.name();
  spec.received_types[ColumnId::kKeys] = keys.data_type;
  spec.m = keys.shape[keys.shape.size() - 2];
  spec.layout.leading.assign(keys.shape.begin(), keys.shape.end() - 2);
  spec.layout.d = keys.shape.back();
  if (!header.has_values()) return spec;
  TensorView values;
  RETURN_IF_ERROR(DecodeSpec(header.values(), "values", values));
  RETURN_IF_ERROR(CheckValueShape("values", values.shape, "keys", keys.shape));
  spec.received_types[ColumnId::kValues] = values.data_type;
  spec.layout.dv = values.shape.back();
  return spec;
}

void EncodeSpec(DataType type, const Shape& shape, v1::TensorSpec& out) {
  out.set_data_type(static_cast<v1::DataType>(type));
  out.mutable_shape()->Assign(shape.begin(), shape.end());
}

}  // namespace

absl::Status CheckKeySetMetadata(const grpc::ServerContextBase& context, absl::string_view name) {
  constexpr char kKey[] = "qkserve-key-set";
  constexpr size_t kShownMax = 128;
  const auto [begin, end] = context.client_metadata().equal_range(kKey);
  for (auto entry = begin; entry != end; ++entry) {
    const absl::string_view value(entry->second.data(), entry->second.size());
    if (value == name) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("metadata ", kKey, ": got '", Utf8Prefix(value, kShownMax), "', expected '",
                     Utf8Prefix(name, kShownMax), "' as in the message"));
  }
  return absl::OkStatus();
}

absl::StatusOr<KeySetUploadSpec> DecodeHeader(const v1::PutKeySetRequest::Header& header,
                                              const PermittedKeySets& key_sets) {
  ASSIGN_OR_RETURN(KeySetUploadSpec spec, DecodeTensors(header));
  RETURN_IF_ERROR(key_sets.CheckPut(header.name()));
  DataType& key_type = spec.layout.key_type;
  DataType& value_type = spec.layout.value_type;
  key_type = spec.received_types[ColumnId::kKeys];
  if (header.has_values()) value_type = spec.received_types[ColumnId::kValues];
  if (header.storage() == v1::DATA_TYPE_UNSPECIFIED) return spec;
  RETURN_IF_ERROR(DecodeFloatType(header.storage(), "storage", key_type));
  if (header.has_values()) value_type = key_type;
  return spec;
}

absl::StatusOr<KeySetUploadSpec> DecodeHeader(const v1::AppendKeySetRequest::Header& header,
                                              const PermittedKeySets& key_sets) {
  ASSIGN_OR_RETURN(KeySetUploadSpec spec, DecodeTensors(header));
  if (header.expected_version() < 1) {
    return FieldError("expected_version", header.expected_version(),
                      "the version of the key set that these keys follow");
  }
  spec.expected_version = header.expected_version();
  // The version is checked before the shapes. If both are wrong, the error about the version is
  // reported, because another version may have another shape.
  ASSIGN_OR_RETURN(const std::shared_ptr<const KeySet> key_set,
                   key_sets.FindForAppend(header.name(), header.expected_version()));
  const KeySetLayout& layout = key_set->layout();
  if (spec.layout.leading != layout.leading || spec.layout.d != layout.d) {
    return FieldError("keys.shape", ShapeString(spec.layout.KeyShape(spec.m)),
                      absl::StrCat("all dimensions but the keys' number as in the set's ",
                                   ShapeString(layout.KeyShape(key_set->m()))));
  }
  if (spec.layout.dv != layout.dv) {
    return FieldError("values.shape",
                      header.has_values() ? ShapeString(spec.layout.ValueShape(spec.m)) : "none",
                      layout.dv.has_value() ? absl::StrCat("dv = ", *layout.dv, " as in the set")
                                            : "none: the set has no values");
  }
  spec.layout = layout;
  return spec;
}

void EncodeKeySet(const KeySet& key_set, v1::KeySet& out) {
  const KeySetLayout& layout = key_set.layout();
  out.set_name(key_set.name());
  out.set_version(key_set.version());
  EncodeSpec(layout.key_type, layout.KeyShape(key_set.m()), *out.mutable_keys());
  if (layout.dv.has_value()) {
    EncodeSpec(layout.value_type, layout.ValueShape(key_set.m()), *out.mutable_values());
  }
  out.set_memory_bytes(key_set.memory_bytes());
  out.set_requests_served(key_set.requests_served());
}

}  // namespace qkserve
