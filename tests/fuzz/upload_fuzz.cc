#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/limits.h"
#include "qkserve/v1/key_set.pb.h"
#include "server/access/permitted_key_sets.h"
#include "server/rpc/key_set_codec.h"
#include "server/rpc/wire_message.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/key_set_uploads.h"
#include "tests/support/wire_bytes.h"

namespace qkserve {
namespace {

// An input is a byte that says whether this is an append, then the messages of the stream as
// pieces.

const KeySetLayout kLayout = {.leading = {2},
                              .d = 3,
                              .key_type = DataType::kFloat16,
                              .dv = 2,
                              .value_type = DataType::kFloat32};
constexpr char kName[] = "set";

// Processes the messages as KeySetService does.
template <class Request>
absl::StatusOr<std::shared_ptr<const KeySet>> Receive(KeySetStore& store, FuzzInput& in) {
  static const auto& fields = *new WireField(WireField::Request(*Request::descriptor()));
  std::unique_ptr<KeySetUpload> upload;
  while (!in.empty()) {
    Request request;
    grpc::ByteBuffer bytes = WireBytes(in.Piece());
    size_t size = 0;
    RETURN_IF_ERROR(ReadWireMessage(fields, {}, &bytes, &request, &size));
    if (request.has_header()) {
      if (upload != nullptr) return absl::InvalidArgumentError("a second header");
      ASSIGN_OR_RETURN(const KeySetUploadSpec spec,
                       DecodeHeader(request.header(), PermittedKeySets(&store, nullptr)));
      ASSIGN_OR_RETURN(upload, store.BeginUpload(spec));
    } else if (upload == nullptr) {
      return absl::InvalidArgumentError("no header");
    } else {
      RETURN_IF_ERROR(upload->Add(ColumnId::kKeys, request.chunk().keys()));
      RETURN_IF_ERROR(upload->Add(ColumnId::kValues, request.chunk().values()));
    }
  }
  if (upload == nullptr) return absl::InvalidArgumentError("no header");
  return upload->Commit();
}

void CheckVersion(const KeySetStore& store, const KeySet& set) {
  const auto found = store.Find(set.name());
  Require(found.ok() && found->get() == &set, "what was committed is served");
  Require(set.layout().Validate(set.m()).ok(), "a set keeps the limits of sets");
  Require(set.memory_bytes() <= store.budget().bytes(), "a set is charged");
  v1::KeySet message;
  EncodeKeySet(set, message);
  Require(message.keys().shape_size() >= 2, "a set has a shape");
}

}  // namespace

void FuzzUpload(absl::string_view input) {
  FuzzInput in(input);
  const bool is_append = in.Flag();
  const std::unique_ptr<KeySetStore> store =
      KeySetStore::Open({.memory_bytes_max = 4 * kMiB}, nullptr).value();
  const std::shared_ptr<const KeySet> before = UploadPart(*store, kName, kLayout, {1, 62}).value();
  const std::string contents = Contents(*before);
  {
    const auto set = is_append ? Receive<v1::AppendKeySetRequest>(*store, in)
                               : Receive<v1::PutKeySetRequest>(*store, in);
    if (set.ok()) {
      CheckVersion(*store, **set);
      Require((*set)->version() > before->version(), "versions grow");
    } else {
      const auto found = store->Find(kName);
      Require(found.ok() && *found == before, "a failed upload changes nothing");
    }
  }
  Require(Contents(*before) == contents, "a version never changes");
}

FuzzSeeds UploadSeeds() {
  const Part part = {2, 5};
  const auto stream = [&](auto header, bool is_append) {
    *header.mutable_header()->mutable_keys() = [] {
      v1::TensorSpec spec;
      spec.set_data_type(v1::FLOAT16);
      for (const int64_t size : {2, 5, 3}) spec.add_shape(size);
      return spec;
    }();
    v1::TensorSpec& values = *header.mutable_header()->mutable_values();
    values.set_data_type(v1::FLOAT32);
    for (const int64_t size : {2, 5, 2}) values.add_shape(size);
    header.mutable_header()->set_name(kName);
    auto first = header;
    auto second = header;
    const std::string keys = PartBytes(kLayout, ColumnId::kKeys, part);
    first.mutable_chunk()->set_keys(keys.substr(0, 17));
    second.mutable_chunk()->set_keys(keys.substr(17));
    second.mutable_chunk()->set_values(PartBytes(kLayout, ColumnId::kValues, part));
    return std::string(1, is_append ? '\1' : '\0') + AsPiece(header.SerializeAsString()) +
           AsPiece(first.SerializeAsString()) + AsPiece(second.SerializeAsString());
  };
  v1::AppendKeySetRequest append;
  append.mutable_header()->set_expected_version(1);
  v1::PutKeySetRequest put;
  put.mutable_header()->set_storage(v1::BFLOAT16);
  return {{"put", stream(v1::PutKeySetRequest(), false)},
          {"put-stored-as-bfloat16", stream(put, false)},
          {"append", stream(append, true)}};
}

}  // namespace qkserve
