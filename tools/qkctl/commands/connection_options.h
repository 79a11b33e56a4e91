#ifndef QKSERVE_TOOLS_QKCTL_COMMANDS_CONNECTION_OPTIONS_H_
#define QKSERVE_TOOLS_QKCTL_COMMANDS_CONNECTION_OPTIONS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/flags.h"
#include "qkserve/client.h"

namespace qkserve {

// How a command reaches the server. Every command has these.
struct ConnectionOptions {
  ClientOptions client;                        // without TLS: ForClient adds it
  absl::Duration timeout = absl::Seconds(60);  // of one call
  bool use_tls = false;
  TlsOptions tls;

  void AddFlags(Flags& flags);

  // INVALID_ARGUMENT names the flag.
  absl::Status Validate() const;

  ClientOptions ForClient() const;
};

// The options of a command that only asks the server something.
struct QuestionOptions {
  std::string json;  // see AddJsonFlag
  ConnectionOptions connection;

  void AddFlags(Flags& flags);
  absl::Status Validate() const { return connection.Validate(); }
};

// The same about one key set.
struct KeySetQuestionOptions : QuestionOptions {
  std::string name;

  void AddFlags(Flags& flags);
};

// RESOURCE_EXHAUSTED: the process may not have the threads that gRPC starts. Or the errors of
// Client::Create.
absl::StatusOr<std::unique_ptr<Client>> MakeClient(const ConnectionOptions& options);

}  // namespace qkserve

#endif  // QKSERVE_TOOLS_QKCTL_COMMANDS_CONNECTION_OPTIONS_H_
