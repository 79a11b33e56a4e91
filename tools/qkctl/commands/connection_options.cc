#include "tools/qkctl/commands/connection_options.h"

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/thread_limit.h"
#include "tools/qkctl/output/answer.h"

namespace qkserve {
namespace {

constexpr int kChannelsMax = 1000;

absl::Status CheckTls(const ConnectionOptions& options) {
  const TlsOptions& tls = options.tls;
  const bool cert = !tls.cert_file.empty();
  const bool key = !tls.key_file.empty();
  if (cert && !key) return absl::InvalidArgumentError("--tls_cert_file requires --tls_key_file");
  if (key && !cert) return absl::InvalidArgumentError("--tls_key_file requires --tls_cert_file");
  if (options.use_tls) return absl::OkStatus();
  if (cert) return absl::InvalidArgumentError("--tls_cert_file requires --tls");
  if (!tls.ca_file.empty()) return absl::InvalidArgumentError("--tls_ca_file requires --tls");
  if (!tls.server_name.empty()) {
    return absl::InvalidArgumentError("--tls_server_name requires --tls");
  }
  return absl::OkStatus();
}

}  // namespace

void ConnectionOptions::AddFlags(Flags& flags) {
  flags.BeginGroup("Connection, for every command");
  flags.Add("server", &client.address, "HOST:PORT of the server, or any gRPC target");
  flags.Add("timeout", &timeout, "Longest wait for one answer");
  flags.Add("channels", &client.channels, "Connections; requests go round over them");
  flags.Add("message_bytes_max", &client.message_bytes_max, "Largest message in bytes, each way");
  flags.Add("http_proxy", &client.http_proxy,
            "HOST:PORT of an HTTP proxy to go through. Variables such as http_proxy are not read");
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
}

absl::Status ConnectionOptions::Validate() const {
  if (timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--timeout must be positive; was ", absl::FormatDuration(timeout)));
  }
  if (client.channels < 1 || client.channels > kChannelsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--channels must be from 1 to ", kChannelsMax, "; was ", client.channels));
  }
  // gRPC takes an int.
  constexpr int64_t kBytesMax = std::numeric_limits<int>::max();
  if (client.message_bytes_max < 1 || client.message_bytes_max > kBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("--message_bytes_max must be from 1 to ",
                                                   kBytesMax, "; was ", client.message_bytes_max));
  }
  return CheckTls(*this);
}

ClientOptions ConnectionOptions::ForClient() const {
  ClientOptions options = client;
  if (use_tls) options.tls = tls;
  return options;
}

void QuestionOptions::AddFlags(Flags& flags) {
  AddJsonFlag(flags, &json);
  connection.AddFlags(flags);
}

void KeySetQuestionOptions::AddFlags(Flags& flags) {
  flags.AddArgument("NAME", &name);
  QuestionOptions::AddFlags(flags);
}

absl::StatusOr<std::unique_ptr<Client>> MakeClient(const ConnectionOptions& options) {
  // A load has two threads a channel, and one that verifies.
  const absl::Status status =
      CheckThreads(GrpcThreads() + int64_t{2} * options.client.channels + 1);
  if (!status.ok()) return status;
  return Client::Create(options.ForClient());
}

}  // namespace qkserve
