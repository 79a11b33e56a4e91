#ifndef QKSERVE_BASE_STATUS_MACROS_H_
#define QKSERVE_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Early returns of errors, for functions that return absl::Status or absl::StatusOr.

// Returns the absl::Status `expression` from the function unless it is OK.
#define RETURN_IF_ERROR(expression)                    \
  do {                                                 \
    absl::Status status_to_check = (expression);       \
    if (!status_to_check.ok()) return status_to_check; \
  } while (false)

// Assigns the value of the absl::StatusOr `expression` to `target`, which may declare a variable,
// or returns its error from the function:
//
//   ASSIGN_OR_RETURN(const std::string text, ReadFile(files, path, kBytesMax));
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_BY_WAY_OF(STATUS_MACROS_NAME(value_or_error_, __LINE__), target, expression)

#define ASSIGN_OR_RETURN_BY_WAY_OF(result, target, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) return std::move(result).status();         \
  target = *std::move(result)  // NOLINT(bugprone-macro-parentheses): may be a declaration
#define STATUS_MACROS_NAME(prefix, line) STATUS_MACROS_JOIN(prefix, line)
#define STATUS_MACROS_JOIN(prefix, line) prefix##line

#endif  // QKSERVE_BASE_STATUS_MACROS_H_
