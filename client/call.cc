#include "client/call.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/ascii.h"

namespace qkserve {

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  if (timeout == absl::InfiniteDuration()) return;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
}

void AddKeySetMetadata(grpc::ClientContext& context, const std::string& name) {
  // gRPC ends the process over metadata that HTTP/2 cannot carry. Such a name is no key set's: the
  // server will say so.
  const bool fits = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c));
  });
  if (fits && !name.empty()) context.AddMetadata("qkserve-key-set", name);
}

}  // namespace qkserve
