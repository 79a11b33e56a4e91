#include "client/token.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/host_port.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "base/visible_ascii.h"
#include "base/whole_file.h"

namespace qkserve {
namespace {

// A token must be smaller than a call's metadata, which has at most 8 KiB.
constexpr size_t kTokenBytesMax = 4096;

// A token's file is read again after this time. A server also looks for a new file every second.
constexpr absl::Duration kReadAgainAfter = absl::Seconds(1);

// Reads the token in a file. Errors never show the token.
absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const auto refuse = [&path](const auto&... what) {
    return InvalidArgument("token_file ", path, ": ", what...);
  };
  absl::StatusOr<std::string> text = ReadFileWhole(path, kTokenBytesMax);
  if (absl::IsOutOfRange(text.status())) return refuse("more than ", kTokenBytesMax, " bytes");
  if (!text.ok()) {
    return absl::Status(text.status().code(), absl::StrCat("token_file ", text.status().message()));
  }
  absl::StripAsciiWhitespace(&*text);
  if (text->empty()) return refuse("has no token");
  if (!IsVisibleAscii(*text)) return refuse("expected one token of visible ASCII characters");
  return text;
}

class TokenInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(TokenFile* token) : token_(*token) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      auto& metadata = *methods->GetSendInitialMetadata();
      // A caller may give a call another authorization.
      if (metadata.count("authorization") == 0) {
        metadata.emplace("authorization", absl::StrCat("Bearer ", token_.Token()));
      }
    }
    methods->Proceed();
  }

 private:
  TokenFile& token_;
};

class TokenInterceptorFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(std::unique_ptr<TokenFile> token) : token_(std::move(token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new TokenInterceptor(token_.get());
  }

 private:
  const std::unique_ptr<TokenFile> token_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(const std::string& path,
                                                           const Clock* clock) {
  ASSIGN_OR_RETURN(std::string token, ReadToken(path));
  return std::unique_ptr<TokenFile>(new TokenFile(path, std::move(token), clock));
}

std::string TokenFile::Token() {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_.Now();
  if (now - read_ >= kReadAgainAfter) {
    read_ = now;
    absl::StatusOr<std::string> token = ReadToken(path_);
    if (token.ok()) token_ = *std::move(token);
  }
  return token_;
}

bool IsLocal(const std::string& address) {
  absl::string_view rest = address;
  if (absl::StartsWith(rest, "unix:") || absl::StartsWith(rest, "unix-abstract:")) return true;
  const std::optional<HostPort> host_port = ReadHostPort(rest, 1);
  if (!host_port.has_value()) return false;
  const std::string& host = host_port->host;
  const bool is_ipv4 = host.find_first_not_of("0123456789.") == std::string::npos;
  return host == "localhost" || host == "::1" || (is_ipv4 && absl::StartsWith(host, "127."));
}

absl::StatusOr<InterceptorFactories> TokenInterceptors(const ClientOptions& options) {
  InterceptorFactories factories;
  if (options.token_file.empty()) return factories;
  const bool is_safe = options.tls.has_value() || options.allow_plaintext ||
                       (IsLocal(options.address) && options.http_proxy.empty());
  if (!is_safe) {
    return InvalidArgument(
        "token_file requires tls for ", options.address,
        ": the token would be readable on the way; allow_plaintext sends it all the same");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<TokenFile> token, TokenFile::Open(options.token_file));
  factories.push_back(std::make_unique<TokenInterceptorFactory>(std::move(token)));
  return factories;
}

}  // namespace qkserve
