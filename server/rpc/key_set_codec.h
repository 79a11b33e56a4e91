#ifndef QKSERVE_SERVER_RPC_KEY_SET_CODEC_H_
#define QKSERVE_SERVER_RPC_KEY_SET_CODEC_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/key_sets/key_set_upload.h"
#include "grpcpp/server_context.h"
#include "qkserve/v1/key_set.pb.h"
#include "server/access/permitted_key_sets.h"

namespace qkserve {

// Checks the metadata "qkserve-key-set". A proxy routes by this metadata, because it cannot see the
// message. If the metadata is given, its value must be `name`. INVALID_ARGUMENT says what the value
// was.
absl::Status CheckKeySetMetadata(const grpc::ServerContextBase& context, absl::string_view name);

// The functions below convert between messages of KeySetService and the store's types. Errors are
// those of key_set.proto.

// Checks the header of a put: name, types, shapes, permission. INVALID_ARGUMENT names the field.
absl::StatusOr<KeySetUploadSpec> DecodeHeader(const v1::PutKeySetRequest::Header& header,
                                              const PermittedKeySets& key_sets);
// Checks the header of an append against the newest version. INVALID_ARGUMENT names the field.
// Other errors are those of PermittedKeySets::FindForAppend.
absl::StatusOr<KeySetUploadSpec> DecodeHeader(const v1::AppendKeySetRequest::Header& header,
                                              const PermittedKeySets& key_sets);

// Fills `out` with the description of a version.
void EncodeKeySet(const KeySet& key_set, v1::KeySet& out);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_KEY_SET_CODEC_H_
