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
// A name has lower-case letters, digits, '-', '_' and '.'. Names that begin with "grpc-", and some
// other names, are reserved for gRPC and this library. A value is printable ASCII. If the name ends
// in "-bin", the value may have any bytes. A call with any other name or value fails with
// INVALID_ARGUMENT and is not sent. Servers refuse more than about 7 KB of metadata in all
// (RESOURCE_EXHAUSTED).
using Metadata = std::vector<std::pair<std::string, std::string>>;

// Returns the metadata of a call for this tenant at this priority. The metadata is empty if
// `tenant` is "" and `priority` is kNormal.
Metadata CallerMetadata(const std::string& tenant, Priority priority);

}  // namespace qkserve

#endif  // QKSERVE_METADATA_H_
