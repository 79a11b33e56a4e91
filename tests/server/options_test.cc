#include "server/options.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

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
  options.drain_timeout = absl::ZeroDuration();
  EXPECT_EQ(options.Validate().message(), "drain_timeout must be positive; was 0");
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
