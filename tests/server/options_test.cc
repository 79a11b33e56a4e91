#include "server/options.h"

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/byte_size.h"
#include "core/key_sets/limits.h"
#include "core/scoring/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/inflate.h"

namespace qkserve {
namespace {

TEST(ServerOptionsTest, DefaultsAreValid) { EXPECT_TRUE(ServerOptions().Validate().ok()); }

TEST(ServerOptionsTest, NamesTheOptionAndWhatIsPossible) {
  ServerOptions options;
  options.workers = -1;
  EXPECT_EQ(options.Validate().message(), "workers must be from 0 to 1024; was -1");
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http", ":1"}) {
    options = {};
    options.listen_address = address;
    EXPECT_THAT(options.Validate().message(), testing::HasSubstr("listen_address: got"));
  }
  for (const char* address : {"*:8080", "::1:0", "127.0.0.1:+1"}) {
    options = {};
    options.http_address = address;
    EXPECT_THAT(options.Validate().message(), testing::HasSubstr("http_address: got"));
  }
  options = {};
  options.drain_grace = absl::InfiniteDuration();
  EXPECT_EQ(options.Validate().message(), "drain_grace must be finite; was inf");
  options = {};
  options.message_bytes_max = int64_t{1} << 31;
  EXPECT_EQ(options.Validate().message(),
            "message_bytes_max must be from 8KiB to 2147483647; was 2GiB");
  options = {};
  options.in_flight_bytes_max = 0;
  EXPECT_EQ(options.Validate().message(), "in_flight_bytes_max must be at least 1MiB; was 0");
  options = {};
  options.queue_requests_max = 0;
  EXPECT_THAT(options.Validate().message(), testing::HasSubstr("queue_requests_max"));
  options = {};
  options.connections_max = 0;
  EXPECT_EQ(options.Validate().message(), "connections_max must be from 1 to 2147483647; was 0");
  options = {};
  options.connections_per_peer_max = -1;
  EXPECT_THAT(options.Validate().message(), testing::HasSubstr("connections_per_peer_max"));
  for (absl::Duration ServerOptions::*time :
       {&ServerOptions::connection_grace, &ServerOptions::reply_timeout}) {
    options = {};
    options.*time = -absl::Seconds(1);
    EXPECT_THAT(options.Validate().message(), testing::HasSubstr("must not be negative; was -1s"));
  }
  options = {};
  options.drain_timeout = absl::ZeroDuration();
  EXPECT_EQ(options.Validate().message(), "drain_timeout must be positive; was 0");
}

std::string Count(int64_t count) { return absl::StrCat(count); }

TEST(LimitsTest, TheTableOfTheDocumentsIsThatOfTheCode) {
  const ServerOptions options;
  const std::map<std::string, std::string> expected = {
      {"message, each way", FormatByteSize(options.message_bytes_max)},
      {"message, once decompressed", FormatByteSize(kInflatedBytesMax)},
      {"requests and results in flight", FormatByteSize(options.in_flight_bytes_max)},
      {"waiting requests", Count(options.queue_requests_max)},
      {"scores that a request computes", Count(kScoresMax)},
      {"rank of a tensor", "4"},
      {"metadata of a call", absl::StrCat(kMetadataBytesMax, " bytes")},
      {"time to take a reply", absl::FormatDuration(options.reply_timeout)},
      {"key sets", Count(kKeySetsMax)},
      {"keys of a set", Count(kKeySetKeysMax)},
      {"elements of a row", Count(kKeySetColumnsMax)},
      {"elements of a column", Count(kKeySetElementsMax)},
      {"matrices of a set", Count(kKeySetMatricesMax)},
      {"memory of all sets", "half of the memory"},
      {"uploads at a time", Count(kUploadsMax)},
      {"deletions at a time", Count(kDeletionsMax)},
      {"time between two messages of an upload", absl::FormatDuration(options.upload_idle_timeout)},
      {"connections", Count(options.connections_max)},
      {"connections from one address", "half of all"},
      {"calls at a time on a connection", Count(kConnectionCallsMax)},
      {"time for the handshakes", absl::FormatDuration(options.handshake_timeout)},
      {"age of a connection", absl::FormatDuration(options.connection_age)},
      {"time of calls after that", absl::FormatDuration(options.connection_grace)},
      {"time between a client's pings, at least",
       absl::FormatDuration(options.keepalive_interval_min)},
      {"silence before the server pings", absl::FormatDuration(options.ping_after)},
      {"time to answer a ping", absl::FormatDuration(options.ping_timeout)},
      {"time in which a peer takes bytes (TCP)", absl::FormatDuration(options.unsent_timeout)},
      {"ended connections that are awaited", Count(kFarewellsMax)},
      {"time for which each is awaited", absl::FormatDuration(kFarewellTimeout)},
      {"bytes that its client may still send", FormatByteSize(kFarewellBytesMax)},
      {"its silence once the client has received everything",
       absl::FormatDuration(kFarewellSilence)},
      {"this silence in a drain, or above half of the places",
       absl::FormatDuration(kFarewellShortSilence)}};
  std::map<std::string, std::string> documented;
  std::ifstream file(LIMITS_DOCUMENT);
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() != 6 || absl::StartsWith(cells[1], "-") || cells[1] == " what ") continue;
    documented[std::string(absl::StripAsciiWhitespace(cells[1]))] =
        std::string(absl::StripAsciiWhitespace(cells[2]));
  }
  EXPECT_EQ(documented, expected);
}

TEST(ServerOptionsTest, TlsNeedsACertificateAndItsKey) {
  EXPECT_EQ(ServerOptions{.tls_cert_file = "c"}.Validate().message(),
            "tls_cert_file needs a tls_key_file; was ''");
  EXPECT_EQ(ServerOptions{.tls_key_file = "k"}.Validate().message(),
            "tls_key_file needs a tls_cert_file; was ''");
  EXPECT_EQ(ServerOptions{.tls_client_ca_file = "ca"}.Validate().message(),
            "tls_client_ca_file needs a tls_cert_file; was ''");
}

}  // namespace
}  // namespace qkserve
