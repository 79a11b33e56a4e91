#include "server/rpc/unknown_methods.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "server/rpc/grpc_status.h"

namespace qkserve {
namespace {

// Ends its call at once, without reading.
class RefusedCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit RefusedCall(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  const absl::StatusOr<Grant> grant = gate_.LetIn(*context, Method::kUnknown);
  if (!grant.ok()) return new RefusedCall(grant.status());
  constexpr size_t kShownMax = 128;
  const absl::Status status = absl::UnimplementedError(
      absl::StrCat("method: got '", Utf8Prefix(context->method(), kShownMax),
                   "', which this server does not have"));
  recorder_.RecordCall(*context, Method::kUnknown, status, recorder_.Now(), grant->identity);
  return new RefusedCall(status);
}

}  // namespace qkserve
