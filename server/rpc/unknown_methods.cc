#include "server/rpc/unknown_methods.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "server/rpc/grpc_status.h"

namespace qkserve {
namespace {

// Ends its call at once, without reading.
class UnimplementedCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit UnimplementedCall(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  constexpr size_t kShownMax = 128;
  const absl::Status status = absl::UnimplementedError(
      absl::StrCat("method: got '", Utf8Prefix(context->method(), kShownMax),
                   "', which this server does not have"));
  recorder_.RecordCall(*context, Method::kUnknown, status, recorder_.Now());
  return new UnimplementedCall(status);
}

}  // namespace qkserve
