#ifndef QKSERVE_SERVER_OBSERVE_TRACE_CONTEXT_H_
#define QKSERVE_SERVER_OBSERVE_TRACE_CONTEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "base/log.h"
#include "grpcpp/server_context.h"

namespace qkserve {

// How a caller's request is known to others: what it sent as metadata `traceparent` (W3C Trace
// Context) and `x-request-id`. "" where there is none, more than one, or one that is not valid:
// such a value is ignored, as the W3C wants it.
struct RequestTags {
  std::string traceparent;
  std::string request_id;

  // Reads the metadata of a call.
  static RequestTags Of(const grpc::ServerContextBase& context);

  // Those that are there, and the trace's id, as fields.
  void AddTo(LogEvent& event) const;
};

// Sends both back as initial metadata, so that a caller finds its call in a log. Before the
// response begins.
void EchoRequestTags(grpc::ServerContextBase& context);

// VERSION-TRACEID-PARENTID-FLAGS in lower-case hex digits, as in
// https://www.w3.org/TR/trace-context/#traceparent-header: not version ff, neither id all zeros,
// and nothing behind the flags of version 00.
bool IsTraceparent(absl::string_view value);

// 1 to 128 visible ASCII characters.
bool IsRequestId(absl::string_view value);

// The 32 digits that name the trace, of a valid traceparent.
absl::string_view TraceId(absl::string_view traceparent);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OBSERVE_TRACE_CONTEXT_H_
