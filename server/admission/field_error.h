#ifndef QKSERVE_SERVER_ADMISSION_FIELD_ERROR_H_
#define QKSERVE_SERVER_ADMISSION_FIELD_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// INVALID_ARGUMENT: "FIELD: got GOT, expected EXPECTED". `field` is the name that the caller knows.
inline absl::Status FieldError(absl::string_view field, absl::string_view got,
                               absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", expected ", expected));
}

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_FIELD_ERROR_H_
