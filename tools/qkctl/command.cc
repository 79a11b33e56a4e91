#include "tools/qkctl/command.h"

#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "base/thread_limit.h"
#include "qkserve/channel.h"
#include "tools/qkctl/commands/flag_values.h"

namespace qkserve {
namespace {

constexpr int kChannelsMax = 1000;

// Names flags in an error of the client library, which begins with the name of one of its options:
// "tls.key_file PATH: ...".
absl::Status NameFlags(const absl::Status& error) {
  std::string text(error.message());
  if (absl::StartsWith(text, "tls.")) text.replace(0, 4, "--tls_");
  if (absl::StartsWith(text, "token_file ")) {
    text = absl::StrCat(
        "--", absl::StrReplaceAll(text, {{" requires tls for ", " requires --tls for "}}));
  }
  return absl::Status(error.code(), text);
}

}  // namespace

void ConnectionOptions::AddFlags(Flags& flags) {
  flags.BeginGroup("Connection; each flag has a variable, as QKCTL_SERVER");
  flags.Add("server", &client.address, "HOST or HOST:PORT of the server, or any gRPC target");
  flags.Add("timeout", &timeout, "Longest wait for one answer");
  flags.Add("channels", &client.channels, "Connections; requests go round over them");
  flags.AddBytes("message_bytes_max", &client.message_bytes_max, "Largest message, each way");
  flags.Add("http_proxy", &client.http_proxy,
            "HOST:PORT of an HTTP proxy to go through; the variable http_proxy is not read");
  flags.Add("tls", &use_tls, "Encrypt, and check the server's certificate");
  flags.Add(
      "tls_ca_file", &tls.ca_file,
      "With --tls: certificates (PEM) of the authorities to trust; the system's unless given");
  flags.Add("tls_cert_file", &tls.cert_file,
            "With --tls: this client's own certificate (PEM), for servers that want one");
  flags.Add("tls_key_file", &tls.key_file, "The key (PEM, no pass phrase) of --tls_cert_file");
  flags.Add("tls_server_name", &tls.server_name,
            "With --tls: the name that the server's certificate must be for; the host of --server "
            "unless given");
  flags.Add("token_file", &client.token_file,
            "File with the token that calls send, for servers that know their callers; needs --tls "
            "unless the server is on this machine");
  flags.Add("allow_plaintext", &client.allow_plaintext,
            "Send the token without TLS to another machine, too: others may read it on the way");
}

absl::Status ConnectionOptions::Validate() const {
  const bool has_cert = !tls.cert_file.empty();
  const bool has_key = !tls.key_file.empty();
  const absl::Status address = ServerTarget(client.address).status();
  return CheckUsage(
      {{!address.ok(), absl::StrCat("--server: ", address.message())},
       {timeout <= absl::ZeroDuration(),
        absl::StrCat("--timeout must be positive; was ", absl::FormatDuration(timeout))},
       OutOfRange("channels", std::optional(client.channels), 1, kChannelsMax),
       // gRPC takes the limit as an int.
       OutOfRange("message_bytes_max", std::optional(client.message_bytes_max), 1, INT32_MAX),
       {has_cert && !has_key, "--tls_cert_file requires --tls_key_file"},
       {has_key && !has_cert, "--tls_key_file requires --tls_cert_file"},
       {has_cert && !use_tls, "--tls_cert_file requires --tls"},
       {!tls.ca_file.empty() && !use_tls, "--tls_ca_file requires --tls"},
       {!tls.server_name.empty() && !use_tls, "--tls_server_name requires --tls"}});
}

std::vector<FlagFile> ConnectionOptions::Inputs() const {
  return {{"tls_ca_file", tls.ca_file},
          {"tls_cert_file", tls.cert_file},
          {"tls_key_file", tls.key_file},
          {"token_file", client.token_file}};
}

ClientOptions ConnectionOptions::ForClient() const {
  ClientOptions options = client;
  if (use_tls) options.tls = tls;
  return options;
}

absl::Status WithTimeout(const absl::Status& status, absl::Duration timeout) {
  if (!absl::IsDeadlineExceeded(status)) return status;
  return absl::DeadlineExceededError(absl::StrCat(status.message(), "; raise --timeout, which is ",
                                                  absl::FormatDuration(timeout)));
}

absl::StatusOr<std::unique_ptr<Client>> MakeClient(const ConnectionOptions& options) {
  // A load has two threads for each channel, and one more to verify.
  RETURN_IF_ERROR(CheckThreads(GrpcThreads() + int64_t{2} * options.client.channels + 1));
  absl::StatusOr<std::unique_ptr<Client>> made = Client::Create(options.ForClient());
  if (!made.ok()) return NameFlags(made.status());
  return made;
}

}  // namespace qkserve
