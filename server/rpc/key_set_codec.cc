#include "server/rpc/key_set_codec.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "server/admission/field_error.h"
#include "server/rpc/tensor_codec.h"

namespace qkserve {
namespace {

// The sizes of a tensor that is announced.
absl::StatusOr<Shape> DecodeShape(const v1::TensorSpec& spec, absl::string_view name) {
  const std::string field = absl::StrCat(name, ".shape");
  if (spec.shape_size() < 2 || spec.shape_size() > 4) {
    return FieldError(field, absl::StrCat("rank ", spec.shape_size()), "rank 2, 3 or 4");
  }
  const Shape shape(spec.shape().begin(), spec.shape().end());
  // Sizes of 0 do not make the others harmless.
  Shape sizes = shape;
  for (int64_t& size : sizes) size = size == 0 ? 1 : size;
  constexpr int64_t kSizeMax = kKeySetKeysMax;
  const bool fits = std::all_of(shape.begin(), shape.end(),
                                [](int64_t size) { return size >= 0 && size <= kSizeMax; });
  const std::optional<int64_t> elements = fits ? ElementCount(sizes) : std::nullopt;
  if (!elements.has_value() || *elements > kKeySetElementsMax) {
    return FieldError(
        field, ShapeString(shape),
        absl::StrCat("sizes from 0 to ", kSizeMax, ", at most ", kKeySetElementsMax, " elements"));
  }
  if (shape.back() > kKeySetColumnsMax) {
    return FieldError(field, ShapeString(shape),
                      absl::StrCat("at most ", kKeySetColumnsMax, " in the last dimension"));
  }
  int64_t matrices = 1;
  for (size_t i = 0; i + 2 < sizes.size(); ++i) matrices *= sizes[i];
  if (matrices > kKeySetMatricesMax) {
    return FieldError(field, ShapeString(shape),
                      absl::StrCat("at most ", kKeySetMatricesMax, " in the leading dimensions"));
  }
  return shape;
}

// The part that puts and appends have in common: types and shapes of the new rows.
template <class Header>
absl::StatusOr<KeySetUploadSpec> DecodeTensors(const Header& header) {
  const absl::Status status = ValidateKeySetName(header.name());
  if (!status.ok()) return status;
  if (!header.has_keys()) return FieldError("keys", "none", "a data_type and a shape");
  const absl::StatusOr<Shape> keys = DecodeShape(header.keys(), "keys");
  if (!keys.ok()) return keys.status();
  const absl::StatusOr<DataType> key_type =
      DecodeFloatType(header.keys().data_type(), "keys.data_type");
  if (!key_type.ok()) return key_type.status();

  KeySetUploadSpec spec;
  spec.name = header.name();
  spec.received_types[ColumnId::kKeys] = *key_type;
  spec.m = (*keys)[keys->size() - 2];
  spec.layout.leading.assign(keys->begin(), keys->end() - 2);
  spec.layout.d = keys->back();
  if (!header.has_values()) return spec;
  const absl::StatusOr<Shape> values = DecodeShape(header.values(), "values");
  if (!values.ok()) return values.status();
  const absl::StatusOr<DataType> value_type =
      DecodeFloatType(header.values().data_type(), "values.data_type");
  if (!value_type.ok()) return value_type.status();
  if (values->size() != keys->size() ||
      !std::equal(keys->begin(), keys->end() - 1, values->begin())) {
    return FieldError("values.shape", ShapeString(*values),
                      absl::StrCat("all dimensions but the last as in keys ", ShapeString(*keys)));
  }
  spec.received_types[ColumnId::kValues] = *value_type;
  spec.layout.dv = values->back();
  return spec;
}

void EncodeSpec(DataType type, const Shape& shape, v1::TensorSpec& out) {
  out.set_data_type(static_cast<v1::DataType>(type));
  out.mutable_shape()->Assign(shape.begin(), shape.end());
}

}  // namespace

absl::StatusOr<KeySetUploadSpec> DecodeHeader(const v1::PutKeySetRequest::Header& header,
                                              const KeySetStore& /*key_sets*/) {
  absl::StatusOr<KeySetUploadSpec> spec = DecodeTensors(header);
  if (!spec.ok()) return spec.status();
  spec->layout.key_type = spec->received_types[ColumnId::kKeys];
  if (header.has_values()) {
    spec->layout.value_type = spec->received_types[ColumnId::kValues];
  }
  if (header.storage() == v1::DATA_TYPE_UNSPECIFIED) return spec;
  const absl::StatusOr<DataType> storage = DecodeFloatType(header.storage(), "storage");
  if (!storage.ok()) return storage.status();
  spec->layout.key_type = *storage;
  if (header.has_values()) spec->layout.value_type = *storage;
  return spec;
}

absl::StatusOr<KeySetUploadSpec> DecodeHeader(const v1::AppendKeySetRequest::Header& header,
                                              const KeySetStore& key_sets) {
  absl::StatusOr<KeySetUploadSpec> spec = DecodeTensors(header);
  if (!spec.ok()) return spec.status();
  if (header.expected_version() < 1) {
    return FieldError("expected_version", absl::StrCat(header.expected_version()),
                      "the version of the key set that these keys follow");
  }
  spec->expected_version = header.expected_version();
  // First: a set of another shape is another version.
  const absl::StatusOr<std::shared_ptr<const KeySet>> key_set =
      key_sets.FindForAppend(header.name(), header.expected_version());
  if (!key_set.ok()) return key_set.status();
  const KeySetLayout& layout = (*key_set)->layout();
  if (spec->layout.leading != layout.leading || spec->layout.d != layout.d) {
    return FieldError("keys.shape", ShapeString(spec->layout.KeyShape(spec->m)),
                      absl::StrCat("all dimensions but the keys' number as in the set's ",
                                   ShapeString(layout.KeyShape((*key_set)->m()))));
  }
  if (spec->layout.dv != layout.dv) {
    return FieldError("values.shape",
                      header.has_values() ? ShapeString(spec->layout.ValueShape(spec->m)) : "none",
                      layout.dv.has_value() ? absl::StrCat("dv = ", *layout.dv, " as in the set")
                                            : "none: the set has no values");
  }
  spec->layout = layout;
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
