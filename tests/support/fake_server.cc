#include "tests/support/fake_server.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/grpc.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "qkserve/tensor.h"

namespace qkserve {
namespace {

grpc::Status Bad(const std::string& message) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message);
}

grpc::Status NotFound(const std::string& name) {
  return grpc::Status(grpc::StatusCode::NOT_FOUND, absl::StrCat("no key set '", name, "'"));
}

size_t Bytes(const v1::TensorSpec& spec) {
  const std::vector<int64_t> shape(spec.shape().begin(), spec.shape().end());
  return static_cast<size_t>(ElementCount(shape).value_or(0) *
                             ElementBytes(static_cast<DataType>(spec.data_type())));
}

}  // namespace

std::optional<FakeKeySetService::KeySet> FakeKeySetService::Find(const std::string& name) {
  MutexLock lock(&mutex_);
  const auto found = key_sets_.find(name);
  if (found == key_sets_.end()) return std::nullopt;
  return found->second;
}

size_t FakeKeySetService::chunk_bytes_max() {
  MutexLock lock(&mutex_);
  return chunk_bytes_max_;
}

std::vector<std::string> FakeKeySetService::metadata() {
  MutexLock lock(&mutex_);
  return metadata_;
}

void FakeKeySetService::FailUploadsAfter(int64_t bytes, grpc::Status status) {
  MutexLock lock(&mutex_);
  fail_after_bytes_ = bytes;
  failure_ = std::move(status);
}

void FakeKeySetService::BeUnavailable(int calls) {
  MutexLock lock(&mutex_);
  unavailable_calls_ = calls;
}

bool FakeKeySetService::IsUnavailable() {
  MutexLock lock(&mutex_);
  return unavailable_calls_ > 0 && unavailable_calls_-- > 0;
}

void FakeKeySetService::SetPageSize(int size) {
  MutexLock lock(&mutex_);
  page_size_ = size;
}

void FakeKeySetService::NoteMetadata(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find("qkserve-key-set");
  MutexLock lock(&mutex_);
  metadata_.push_back(found == context.client_metadata().end()
                          ? ""
                          : std::string(found->second.data(), found->second.size()));
}

template <typename Request>
grpc::Status FakeKeySetService::Receive(grpc::ServerReader<Request>* reader,
                                        typename Request::Header* header, KeySet* received) {
  Request request;
  if (!reader->Read(&request) || !request.has_header()) return Bad("the header must come first");
  *header = request.header();
  while (reader->Read(&request)) {
    if (!request.has_chunk()) return Bad("expected a chunk");
    received->keys += request.chunk().keys();
    received->values += request.chunk().values();
    MutexLock lock(&mutex_);
    chunk_bytes_max_ = std::max<size_t>(chunk_bytes_max_, request.ByteSizeLong());
    if (static_cast<int64_t>(received->keys.size() + received->values.size()) > fail_after_bytes_) {
      return failure_;
    }
  }
  if (received->keys.size() != Bytes(header->keys()) ||
      received->values.size() != (header->has_values() ? Bytes(header->values()) : 0)) {
    return Bad(absl::StrCat("chunks hold ", received->keys.size(), " bytes of keys and ",
                            received->values.size(), " of values"));
  }
  return grpc::Status::OK;
}

grpc::Status FakeKeySetService::PutKeySet(grpc::ServerContext* context,
                                          grpc::ServerReader<v1::PutKeySetRequest>* reader,
                                          v1::PutKeySetResponse* response) {
  NoteMetadata(*context);
  v1::PutKeySetRequest::Header header;
  KeySet received;
  if (grpc::Status status = Receive(reader, &header, &received); !status.ok()) return status;
  // The upload of a client that has gone away may look whole.
  if (context->IsCancelled()) return grpc::Status::CANCELLED;
  v1::KeySet& info = received.info;
  info.set_name(header.name());
  *info.mutable_keys() = header.keys();
  if (header.has_values()) *info.mutable_values() = header.values();
  if (header.storage() != 0) info.mutable_keys()->set_data_type(header.storage());
  info.set_memory_bytes(static_cast<int64_t>(received.keys.size() + received.values.size()));
  MutexLock lock(&mutex_);
  info.set_version(++last_version_);
  *response->mutable_key_set() = info;
  key_sets_[header.name()] = std::move(received);
  return grpc::Status::OK;
}

grpc::Status FakeKeySetService::AppendKeySet(grpc::ServerContext* context,
                                             grpc::ServerReader<v1::AppendKeySetRequest>* reader,
                                             v1::AppendKeySetResponse* response) {
  NoteMetadata(*context);
  v1::AppendKeySetRequest::Header header;
  KeySet received;
  if (grpc::Status status = Receive(reader, &header, &received); !status.ok()) return status;
  if (context->IsCancelled()) return grpc::Status::CANCELLED;
  MutexLock lock(&mutex_);
  const auto found = key_sets_.find(header.name());
  if (found == key_sets_.end()) return NotFound(header.name());
  KeySet& set = found->second;
  if (set.info.version() != header.expected_version()) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                        absl::StrCat("expected_version is ", header.expected_version(),
                                     "; the key set is at ", set.info.version()));
  }
  const auto add_rows = [](const v1::TensorSpec& from, v1::TensorSpec* to) {
    const int m = to->shape_size() - 2;
    to->set_shape(m, to->shape(m) + from.shape(m));
  };
  add_rows(header.keys(), set.info.mutable_keys());
  if (header.has_values()) add_rows(header.values(), set.info.mutable_values());
  set.keys += received.keys;
  set.values += received.values;
  set.info.set_memory_bytes(static_cast<int64_t>(set.keys.size() + set.values.size()));
  set.info.set_version(++last_version_);
  *response->mutable_key_set() = set.info;
  return grpc::Status::OK;
}

grpc::Status FakeKeySetService::GetKeySet(grpc::ServerContext* context,
                                          const v1::GetKeySetRequest* request,
                                          v1::GetKeySetResponse* response) {
  NoteMetadata(*context);
  if (IsUnavailable()) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  const std::optional<KeySet> set = Find(request->name());
  if (!set.has_value()) return NotFound(request->name());
  *response->mutable_key_set() = set->info;
  return grpc::Status::OK;
}

grpc::Status FakeKeySetService::ListKeySets(grpc::ServerContext* /*context*/,
                                            const v1::ListKeySetsRequest* request,
                                            v1::ListKeySetsResponse* response) {
  MutexLock lock(&mutex_);
  const int size = std::min(page_size_, request->page_size() == 0 ? 100 : request->page_size());
  for (auto it = key_sets_.upper_bound(request->page_token()); it != key_sets_.end(); ++it) {
    if (response->key_sets_size() == size) {
      response->set_next_page_token(response->key_sets(size - 1).name());
      break;
    }
    *response->add_key_sets() = it->second.info;
  }
  return grpc::Status::OK;
}

grpc::Status FakeKeySetService::DeleteKeySet(grpc::ServerContext* context,
                                             const v1::DeleteKeySetRequest* request,
                                             v1::DeleteKeySetResponse* /*response*/) {
  NoteMetadata(*context);
  if (IsUnavailable()) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining");
  MutexLock lock(&mutex_);
  return key_sets_.erase(request->name()) == 1 ? grpc::Status::OK : NotFound(request->name());
}

grpc::Status FakeScoringService::Score(grpc::ServerContext* context,
                                       const v1::ScoreRequest* request,
                                       v1::ScoreResponse* response) {
  const auto metadata = context->client_metadata().find("qkserve-key-set");
  if (!request->has_key_set() || metadata == context->client_metadata().end() ||
      std::string(metadata->second.data(), metadata->second.size()) != request->key_set().name()) {
    return Bad("expected a key set, and its name as metadata");
  }
  const auto set = key_sets_->Find(request->key_set().name());
  if (!set.has_value()) return NotFound(request->key_set().name());
  if (request->key_set().has_version() && request->key_set().version() != set->info.version()) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                        absl::StrCat("the key set is at version ", set->info.version()));
  }
  const v1::Tensor& queries = request->queries();
  const int64_t n = queries.shape(0), d = queries.shape(1), m = set->info.keys().shape(0);
  if (set->info.keys().shape(1) != d) return Bad("d differs");
  std::vector<float> q(n * d), k(m * d), scores(n * m);
  std::memcpy(q.data(), queries.data().data(), q.size() * sizeof(float));
  std::memcpy(k.data(), set->keys.data(), k.size() * sizeof(float));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < m; ++j) {
      for (int64_t x = 0; x < d; ++x) scores[i * m + j] += q[i * d + x] * k[j * d + x];
    }
  }
  v1::Tensor& result = *response->mutable_result();
  result.set_data_type(v1::FLOAT32);
  result.add_shape(n);
  result.add_shape(m);
  result.set_data(scores.data(), scores.size() * sizeof(float));
  response->mutable_receipt()->set_batch_requests(1);
  response->mutable_receipt()->set_kernel("fake");
  response->mutable_receipt()->set_key_set_version(set->info.version());
  return grpc::Status::OK;
}

FakeServer::FakeServer() {
  // gRPC is never shut down, because a shutdown can take 10 s if a connection ended with unsent
  // bytes (gRPC 1.51).
  static const bool initialized = (grpc_init(), true);
  static_cast<void>(initialized);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&key_sets_);
  builder.RegisterService(&scoring_);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

}  // namespace qkserve
