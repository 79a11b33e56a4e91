#include "client/qkctl/shared_flags.h"

#include <unistd.h>

#include <cstdlib>
#include <limits>

#include "absl/flags/flag.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/limits.h"

ABSL_FLAG(std::string, server, "127.0.0.1:50051", "HOST:PORT of the server, or any gRPC target");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(60), "Longest wait for one answer");
ABSL_FLAG(int32_t, channels, 1, "Connections; requests go round over them");
ABSL_FLAG(int64_t, message_bytes_max, qkserve::kMessageBytesMax, "Largest message, each way");

namespace qkserve {
namespace {

constexpr int kChannelsMax = 1000;

}  // namespace

absl::Status CheckSharedFlags() {
  if (absl::GetFlag(FLAGS_server).empty()) {
    return absl::InvalidArgumentError("--server must not be empty");
  }
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
  return absl::OkStatus();
}

ClientOptions ClientOptionsFromFlags() {
  ClientOptions options;
  options.address = absl::GetFlag(FLAGS_server);
  options.channels = absl::GetFlag(FLAGS_channels);
  options.message_bytes_max = absl::GetFlag(FLAGS_message_bytes_max);
  return options;
}

absl::StatusOr<std::unique_ptr<Client>> MakeClient() {
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
