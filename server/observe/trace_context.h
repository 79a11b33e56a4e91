#ifndef QKSERVE_SERVER_OBSERVE_TRACE_CONTEXT_H_
#define QKSERVE_SERVER_OBSERVE_TRACE_CONTEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/log.h"
#include "grpcpp/server_context.h"

namespace qkserve {

// The names of a request in other systems: what its caller sent as metadata `traceparent` (W3C
// Trace Context) and `x-request-id`. A name is "" if the caller sent none, more than one, or an
// invalid one, because the W3C wants such values ignored.
struct RequestTags {
  std::string traceparent = {};
  std::string request_id = {};

  // Reads the metadata of a call.
  static RequestTags Of(const grpc::ServerContextBase& context);

  // Adds the names that are not empty, and the trace's id, as fields.
  void AddTo(LogEvent& event) const;
};

// Sends both names back as initial metadata, so that a caller finds its call in a log. Called
// before the response begins.
void EchoRequestTags(grpc::ServerContextBase& context);

// True for VERSION-TRACEID-PARENTID-FLAGS in lower-case hex digits, as in
// https://www.w3.org/TR/trace-context/#traceparent-header. The version is not ff, and neither id is
// all zeros. In version 00 nothing follows the flags.
bool IsTraceparent(absl::string_view value);

// True for 1 to 128 visible ASCII characters.
bool IsRequestId(absl::string_view value);

// Returns the 32 digits of a valid traceparent that name the trace.
absl::string_view TraceId(absl::string_view traceparent);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_TRACE_CONTEXT_H_
