#ifndef QKSERVE_METADATA_H_
#define QKSERVE_METADATA_H_

#include <qkserve/caller.h>

#include <string>
#include <utility>
#include <vector>

namespace qkserve {

// Names and values that are sent with a call, as HTTP/2 headers. For example:
//
//   {{"x-request-id", "7"}, {"traceparent", trace}, {"authorization", "Bearer " + token}}
//
// A name has lower-case letters, digits, '-', '_' and '.'. Those that begin with "grpc-" and some
// others belong to gRPC and to this library. A value is printable ASCII; if the name ends in "-bin"
// it may have any bytes. A call with another name or value fails with INVALID_ARGUMENT before it is
// sent. Servers refuse metadata of more than about 7 KB together (RESOURCE_EXHAUSTED).
using Metadata = std::vector<std::pair<std::string, std::string>>;

// The metadata of a call for this tenant at this priority. Empty for tenant "" and kNormal.
Metadata CallerMetadata(const std::string& tenant, Priority priority);

}  // namespace qkserve

#endif  // QKSERVE_METADATA_H_
