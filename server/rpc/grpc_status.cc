#include "server/rpc/grpc_status.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/limit_error.h"
#include "base/utf8.h"

namespace qkserve {

std::string ClientText(absl::string_view text) {
  constexpr absl::string_view kCut = "...";
  std::string valid = ValidUtf8(text);
  size_t encoded = 0;
  size_t fits = 0;  // bytes that leave room for kCut
  for (const char c : valid) {
    const bool is_plain = absl::ascii_isprint(static_cast<unsigned char>(c)) && c != '%';
    encoded += is_plain ? 1 : 3;
    if (encoded <= kClientTextBytesMax - kCut.size()) ++fits;
  }
  if (encoded <= kClientTextBytesMax) return valid;
  return absl::StrCat(Utf8Prefix(valid, fits), kCut);
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), ClientText(status.message()));
}

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context) {
  if (absl::IsResourceExhausted(status)) {
    const absl::Duration after = RetryAfterOf(status).value_or(absl::Milliseconds(-1));
    context.AddTrailingMetadata("grpc-retry-pushback-ms",
                                absl::StrCat(absl::ToInt64Milliseconds(after)));
  }
  return ToGrpcStatus(status);
}

}  // namespace qkserve
