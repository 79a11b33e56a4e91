#ifndef QKSERVE_SERVER_ADMISSION_FIELD_ERROR_H_
#define QKSERVE_SERVER_ADMISSION_FIELD_ERROR_H_

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "qkserve/tensor.h"

namespace qkserve {

// Returns INVALID_ARGUMENT with the text "FIELD: got GOT, expected EXPECTED". `field` is the name
// that the caller uses.
inline absl::Status FieldError(absl::string_view field, const absl::AlphaNum& got,
                               const absl::AlphaNum& expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", expected ", expected));
}

// Sets `type` to the float type that `value` stands for. `value` may come from outside.
// INVALID_ARGUMENT: `value` stands for another type, or for none (0 stands for none). The error
// also lists `others`: further types that the field takes. `others` ends in ", ".
inline absl::Status DecodeFloatType(int value, absl::string_view field, DataType& type,
                                    absl::string_view others = "") {
  if (IsFloatType(value)) {
    type = static_cast<DataType>(value);
    return absl::OkStatus();
  }
  const std::string number = absl::StrCat(value);
  return FieldError(field,
                    value == 0          ? "none"
                    : IsDataType(value) ? DataTypeName(static_cast<DataType>(value))
                                        : number,
                    absl::StrCat(others, "FLOAT32, FLOAT16 or BFLOAT16"));
}

// Returns INVALID_ARGUMENT unless the values have the shape of their keys, except in the last
// dimension.
inline absl::Status CheckValueShape(absl::string_view field, const Shape& values,
                                    absl::string_view keys_field, const Shape& keys) {
  if (values.size() == keys.size() && std::equal(keys.begin(), keys.end() - 1, values.begin())) {
    return absl::OkStatus();
  }
  return FieldError(
      absl::StrCat(field, ".shape"), ShapeString(values),
      absl::StrCat("all dimensions but the last as in ", keys_field, " ", ShapeString(keys)));
}

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_FIELD_ERROR_H_
