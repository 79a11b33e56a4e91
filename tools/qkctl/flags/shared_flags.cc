#include "tools/qkctl/flags/shared_flags.h"

#include <unistd.h>

#include <cstdlib>
#include <limits>

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/thread_limit.h"
#include "qkserve/limits.h"

ABSL_FLAG(std::string, server, "127.0.0.1:50051", "HOST:PORT of the server, or any gRPC target");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(60), "Longest wait for one answer");
ABSL_FLAG(int32_t, channels, 1, "Connections; requests go round over them");
ABSL_FLAG(int64_t, message_bytes_max, qkserve::kMessageBytesMax, "Largest message, each way");
ABSL_FLAG(std::string, http_proxy, "",
          "HOST:PORT of an HTTP proxy to go through; variables such as http_proxy are not read");
ABSL_FLAG(bool, tls, false, "Encrypt, and check who the server is");
ABSL_FLAG(std::string, tls_ca_file, "",
          "With --tls: certificates (PEM) of the authorities to trust; the system's unless given");
ABSL_FLAG(std::string, tls_cert_file, "",
          "With --tls: this client's own certificate (PEM), for servers that want one");
ABSL_FLAG(std::string, tls_key_file, "", "The key (PEM, no pass phrase) of --tls_cert_file");
ABSL_FLAG(std::string, tls_server_name, "",
          "With --tls: the name that the server's certificate must be for; the host of --server "
          "unless given");

namespace qkserve {
namespace {

constexpr int kChannelsMax = 1000;

absl::Status CheckTlsFlags() {
  const bool cert = !absl::GetFlag(FLAGS_tls_cert_file).empty();
  const bool key = !absl::GetFlag(FLAGS_tls_key_file).empty();
  if (cert && !key) return absl::InvalidArgumentError("--tls_cert_file requires --tls_key_file");
  if (key && !cert) return absl::InvalidArgumentError("--tls_key_file requires --tls_cert_file");
  if (absl::GetFlag(FLAGS_tls)) return absl::OkStatus();
  if (cert) return absl::InvalidArgumentError("--tls_cert_file requires --tls");
  if (!absl::GetFlag(FLAGS_tls_ca_file).empty()) {
    return absl::InvalidArgumentError("--tls_ca_file requires --tls");
  }
  if (!absl::GetFlag(FLAGS_tls_server_name).empty()) {
    return absl::InvalidArgumentError("--tls_server_name requires --tls");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSharedFlags() {
  if (absl::GetFlag(FLAGS_timeout) <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--timeout must be positive; was ", absl::FormatDuration(absl::GetFlag(FLAGS_timeout))));
  }
  const int channels = absl::GetFlag(FLAGS_channels);
  if (channels < 1 || channels > kChannelsMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("--channels must be from 1 to ", kChannelsMax, "; was ", channels));
  }
  // gRPC takes an int.
  constexpr int64_t kBytesMax = std::numeric_limits<int>::max();
  const int64_t message_bytes_max = absl::GetFlag(FLAGS_message_bytes_max);
  if (message_bytes_max < 1 || message_bytes_max > kBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("--message_bytes_max must be from 1 to ",
                                                   kBytesMax, "; was ", message_bytes_max));
  }
  return CheckTlsFlags();
}

ClientOptions ClientOptionsFromFlags() {
  ClientOptions options;
  options.address = absl::GetFlag(FLAGS_server);
  options.channels = absl::GetFlag(FLAGS_channels);
  options.message_bytes_max = absl::GetFlag(FLAGS_message_bytes_max);
  options.http_proxy = absl::GetFlag(FLAGS_http_proxy);
  if (absl::GetFlag(FLAGS_tls)) {
    options.tls = TlsOptions{.ca_file = absl::GetFlag(FLAGS_tls_ca_file),
                             .cert_file = absl::GetFlag(FLAGS_tls_cert_file),
                             .key_file = absl::GetFlag(FLAGS_tls_key_file),
                             .server_name = absl::GetFlag(FLAGS_tls_server_name)};
  }
  return options;
}

absl::StatusOr<std::unique_ptr<Client>> MakeClient() {
  // A load has two threads a channel, and one that verifies.
  const absl::Status status =
      CheckThreads(GrpcThreads() + int64_t{2} * absl::GetFlag(FLAGS_channels) + 1);
  if (!status.ok()) return status;
  return Client::Create(ClientOptionsFromFlags());
}

std::string Printable(absl::string_view text) {
  std::string printable(text);
  for (char& c : printable) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return printable;
}

bool IsTerminal(int fd) {
  const char* const term = std::getenv("TERM");
  return isatty(fd) == 1 && (term == nullptr || absl::string_view(term) != "dumb");
}

}  // namespace qkserve
