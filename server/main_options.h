#ifndef QKSERVE_SERVER_MAIN_OPTIONS_H_
#define QKSERVE_SERVER_MAIN_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/flags.h"
#include "server/lifecycle/health_check.h"
#include "server/observe/process_log.h"
#include "server/options.h"

namespace qkserve {

// A flag's environment variable has this prefix, then the flag's name in capital letters. check,
// make_token and version have no variable.
inline constexpr char kVariablePrefix[] = "QKSERVE_";

// The values of all flags: the server's options, and the options of the program alone.
struct MainOptions {
  ServerOptions server = {.http_address = "127.0.0.1:8080"};
  std::string port_file, http_port_file;
  std::string kernel = "auto";
  LogFormat log_format = DefaultLogFormat();
  std::optional<std::string> check;       // an address to check, instead of serving
  CheckTls check_tls;                     // how to check it
  std::optional<std::string> make_token;  // an identity to make a token for, instead of serving
  bool version = false;

  // Adds the flags, which fill this object.
  void AddFlags(Flags& flags);

  // Checks that flags fit together. Server::Start checks the rest. INVALID_ARGUMENT: the message
  // begins with the name of a flag.
  absl::Status Validate() const;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_MAIN_OPTIONS_H_
