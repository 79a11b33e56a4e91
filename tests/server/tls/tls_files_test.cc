#include "server/tls/tls_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_authority.h"

namespace qkserve {
namespace {

// Limits the size of files that the process writes. This has the same effect as a lack of memory.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(size_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*const handler_)(int);
  rlimit before_ = {};
};

// The contents of the copies that gRPC reads.
std::vector<std::string> Copies() {
  std::vector<std::string> copies;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code closed;  // the folder's own descriptor
    const std::string target = std::filesystem::read_symlink(entry.path(), closed).string();
    if (absl::StartsWith(target, "/memfd:qkserve")) copies.push_back(ReadFile(entry.path()));
  }
  std::sort(copies.begin(), copies.end());
  return copies;
}

TEST(TlsFilesTest, FilesThatCannotAllBeCopiedChangeNothingAndAreTriedAgain) {
  const TemporaryDirectory directory("tls_files_test");
  const TlsPaths paths = {.cert = directory.Path("cert.pem"),
                          .key = directory.Path("key.pem"),
                          .client_ca = directory.Path("client_ca.pem")};
  const TestAuthority authority;
  const auto place = [&](const Identity& identity, const TestAuthority& clients) {
    std::ofstream(paths.cert, std::ios::trunc) << identity.certificate;
    std::ofstream(paths.key, std::ios::trunc) << identity.key;
    std::ofstream(paths.client_ca, std::ios::trunc) << clients.certificate();
  };
  place(authority.Issue("DNS:a.test"), TestAuthority());
  FileReloader reloader([](const LogEvent&) {}, absl::InfiniteDuration());
  const std::unique_ptr<TlsFiles> files = TlsFiles::Watch(paths, &reloader).value();
  const std::vector<std::string> before = Copies();
  ASSERT_EQ(before.size(), 2U);
  const std::shared_ptr<const TlsIdentity> identity_before = files->identity();

  const Identity identity = authority.Issue("DNS:b.test");
  const TestAuthority clients;
  place(identity, clients);
  {
    // The authorities are short enough, but certificate and key are not.
    const FileSizeLimit limit(clients.certificate().size());
    reloader.Look();
    reloader.Look();
  }
  EXPECT_EQ(reloader.outcomes().front().refused, 1);
  EXPECT_EQ(Copies(), before);
  EXPECT_EQ(files->identity(), identity_before);

  reloader.Look();
  EXPECT_EQ(reloader.outcomes().front().applied, 2);
  EXPECT_THAT(Copies(), testing::Contains(clients.certificate()));
  EXPECT_EQ(files->identity()->chain, identity.certificate);
}

}  // namespace
}  // namespace qkserve
