#include "bench/resident_key_sets.h"

#include <grpcpp/grpcpp.h>

#include <cstring>
#include <utility>

#include "bench/tensors.h"

namespace qkserve::bench {
namespace {

grpc::Status Invalid(const std::string& message) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message);
}

// Elements that arrive in pieces. A piece may be cut anywhere, even inside an element.
class ArrivingElements {
 public:
  explicit ArrivingElements(std::vector<float>* out) : out_(out) {}

  // Adds bytes. Returns false if there are more bytes than room.
  bool Add(const std::string& bytes) {
    if (bytes.size() > out_->size() * sizeof(float) - bytes_) return false;
    std::memcpy(reinterpret_cast<char*>(out_->data()) + bytes_, bytes.data(), bytes.size());
    bytes_ += bytes.size();
    return true;
  }
  bool Complete() const { return bytes_ == out_->size() * sizeof(float); }

 private:
  std::vector<float>* const out_;
  size_t bytes_ = 0;
};

class PutReactor final : public grpc::ServerReadReactor<v1::PutKeySetRequest> {
 public:
  PutReactor(RowMajorKeySets* key_sets, v1::PutKeySetResponse* response)
      : key_sets_(key_sets), response_(response) {
    StartRead(&part_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(Complete());
    const grpc::Status status = part_.has_header() ? Begin(part_.header()) : Add(part_.chunk());
    if (!status.ok()) return Finish(status);
    StartRead(&part_);
  }

  void OnDone() override { delete this; }

 private:
  grpc::Status Begin(const v1::PutKeySetRequest::Header& header) {
    const bool has_values = header.has_values();
    if (!IsFloatMatrix(header.keys()) ||
        (has_values &&
         (!IsFloatMatrix(header.values()) || header.values().shape(0) != header.keys().shape(0)))) {
      return Invalid("keys and values must be matrices of float32 with as many rows");
    }
    name_ = header.name();
    key_set_->m = header.keys().shape(0);
    key_set_->d = header.keys().shape(1);
    key_set_->dv = has_values ? header.values().shape(1) : 0;
    key_set_->keys.resize(static_cast<size_t>(key_set_->m * key_set_->d));
    key_set_->values.resize(static_cast<size_t>(key_set_->m * key_set_->dv));
    *response_->mutable_key_set()->mutable_keys() = header.keys();
    return grpc::Status::OK;
  }

  grpc::Status Add(const v1::KeySetChunk& chunk) {
    return keys_.Add(chunk.keys()) && values_.Add(chunk.values())
               ? grpc::Status::OK
               : Invalid("more elements than were announced");
  }

  grpc::Status Complete() {
    if (name_.empty() || !keys_.Complete() || !values_.Complete()) {
      return Invalid("less elements than were announced");
    }
    response_->mutable_key_set()->set_name(name_);
    key_sets_->Put(name_, std::move(key_set_));
    return grpc::Status::OK;
  }

  RowMajorKeySets* const key_sets_;
  v1::PutKeySetResponse* const response_;
  v1::PutKeySetRequest part_;
  std::string name_;
  std::shared_ptr<RowMajorKeySet> key_set_ = std::make_shared<RowMajorKeySet>();
  ArrivingElements keys_{&key_set_->keys};
  ArrivingElements values_{&key_set_->values};
};

}  // namespace

void RowMajorKeySets::Put(const std::string& name, std::shared_ptr<const RowMajorKeySet> key_set) {
  MutexLock lock(&mutex_);
  by_name_[name] = std::move(key_set);
}

std::shared_ptr<const RowMajorKeySet> RowMajorKeySets::Find(const std::string& name) const {
  MutexLock lock(&mutex_);
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

grpc::ServerReadReactor<v1::PutKeySetRequest>* RowMajorKeySets::PutKeySet(
    grpc::CallbackServerContext*, v1::PutKeySetResponse* response) {
  return new PutReactor(this, response);
}

}  // namespace qkserve::bench
