#ifndef QKSERVE_TOOLS_QKCTL_FLAGS_SHARED_FLAGS_H_
#define QKSERVE_TOOLS_QKCTL_FLAGS_SHARED_FLAGS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "qkserve/client.h"

// Flags of every command: how to reach the server.
ABSL_DECLARE_FLAG(std::string, server);
ABSL_DECLARE_FLAG(absl::Duration, timeout);
ABSL_DECLARE_FLAG(int32_t, channels);
ABSL_DECLARE_FLAG(int64_t, message_bytes_max);
ABSL_DECLARE_FLAG(std::string, http_proxy);
ABSL_DECLARE_FLAG(bool, tls);
ABSL_DECLARE_FLAG(std::string, tls_ca_file);
ABSL_DECLARE_FLAG(std::string, tls_cert_file);
ABSL_DECLARE_FLAG(std::string, tls_key_file);
ABSL_DECLARE_FLAG(std::string, tls_server_name);

namespace qkserve {

inline constexpr absl::string_view kSharedFlagsFile = "/qkctl/shared_flags.cc";

absl::Status CheckSharedFlags();

ClientOptions ClientOptionsFromFlags();

absl::StatusOr<std::unique_ptr<Client>> MakeClient();

// `text` on one line without control characters: messages and names come from servers, and are not
// to move the cursor of a terminal.
std::string Printable(absl::string_view text);

// Whether the descriptor is a terminal that may be drawn on.
bool IsTerminal(int fd);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_FLAGS_SHARED_FLAGS_H_
