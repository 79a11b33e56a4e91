#ifndef QKSERVE_BASE_STATUS_MACROS_H_
#define QKSERVE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Macros for functions that return absl::Status or absl::StatusOr. This header includes both types.
// Installed headers must not include it.

// If `expression`, an absl::Status, is an error, the function around the macro returns it.
#define RETURN_IF_ERROR(expression)                                         \
  do {                                                                      \
    if (absl::Status qkserve_status = (expression); !qkserve_status.ok()) { \
      return qkserve_status;                                                \
    }                                                                       \
  } while (false)

// Assigns the value of `expression`, an absl::StatusOr, to `left`, which may be a declaration:
//   ASSIGN_OR_RETURN(const Tensor keys, ReadTensor(file));
// If `expression` is an error, the function around the macro returns it. An `if` around the macro
// needs braces, because the macro is more than one statement.
#define ASSIGN_OR_RETURN(left, expression) \
  ASSIGN_OR_RETURN_TO(UNIQUE_STATUS_NAME(qkserve_status_or_, __LINE__), left, expression)

// NOLINTBEGIN(bugprone-macro-parentheses): `status_or` is a name, `left` may be a declaration.
#define ASSIGN_OR_RETURN_TO(status_or, left, expression)     \
  auto status_or = (expression);                             \
  if (!status_or.ok()) return std::move(status_or).status(); \
  left = *std::move(status_or)
// NOLINTEND(bugprone-macro-parentheses)
#define UNIQUE_STATUS_NAME(prefix, line) STATUS_NAME_CONCATENATION(prefix, line)
#define STATUS_NAME_CONCATENATION(a, b) a##b

#endif  // QKSERVE_BASE_STATUS_MACROS_H_
