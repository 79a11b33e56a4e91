#include "server/rpc/key_set_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/limits.h"
#include "server/observe/trace_context.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/key_set_codec.h"
#include "server/rpc/key_set_metadata.h"

namespace qkserve {
namespace {

// A call of one request and one response: finished by whoever has the answer.
class UnaryCall {
 public:
  UnaryCall(const CallRecorder& recorder, Method method, grpc::CallbackServerContext* context)
      : recorder_(&recorder),
        method_(method),
        begin_(recorder.Now()),
        context_(context),
        reactor_(context->DefaultReactor()) {
    EchoRequestTags(*context);
  }

  grpc::ServerUnaryReactor* reactor() const { return reactor_; }

  grpc::ServerUnaryReactor* Finish(const absl::Status& status) const {
    recorder_->RecordCall(method_, status, begin_);
    reactor_->Finish(ToGrpcStatus(status, *context_));
    return reactor_;
  }

 private:
  const CallRecorder* recorder_;
  Method method_;
  absl::Time begin_;
  grpc::CallbackServerContext* context_;
  grpc::ServerUnaryReactor* reactor_;
};

}  // namespace

// An upload's stream: each message is worked on by upload_threads_ before the next one is read, so
// a client that is faster than packing and the disk is slowed down by gRPC's flow control. One
// thing happens at a time: a read, or a task.
template <class Request, class Response>
class KeySetService::UploadReactor final : public grpc::ServerReadReactor<WireMessage<Request>> {
 public:
  UploadReactor(KeySetService* service, Method method, grpc::CallbackServerContext* context,
                Response* response)
      : service_(*service),
        method_(method),
        begin_(service->recorder_.Now()),
        context_(*context),
        response_(*response) {
    service_.calls_.Begin();
    EchoRequestTags(context_);
    absl::Status status = service_.CheckServing();
    if (++service_.uploads_ > kUploadsMax) {
      status.Update(absl::ResourceExhaustedError(
          absl::StrCat("more than ", kUploadsMax, " uploads are under way")));
    }
    if (status.ok()) {
      AwaitMessage();
    } else {
      End(status);
    }
  }

  void OnReadDone(bool ok) override {
    // Expired: the end is under way, and this read ends with it.
    if (!service_.idle_.Disarm(this)) return;
    service_.upload_threads_.Schedule([this, ok] {
      AwaitReadBegun();
      if (ok) {
        TakeMessage();
      } else {
        Commit();
      }
    });
  }

  void OnDone() override {
    --service_.uploads_;
    service_.calls_.End();
    delete this;
  }

 private:
  void TakeMessage() {
    service_.recorder_.metrics().CountReceived(wire_.bytes);
    const absl::Status status = wire_.status.ok() ? Take() : wire_.status;
    // The next message is read into this one: give its memory back.
    wire_ = {};
    if (status.ok()) {
      AwaitMessage();
    } else {
      End(status);
    }
  }

  void AwaitMessage() {
    MutexLock lock(&read_mutex_);
    service_.idle_.Arm(this, [this] { service_.upload_threads_.Schedule([this] { EndIdle(); }); });
    this->StartRead(&wire_);
  }

  // Whoever may end the call, and this object, waits until AwaitMessage needs it no longer.
  void AwaitReadBegun() { MutexLock lock(&read_mutex_); }

  void EndIdle() {
    AwaitReadBegun();
    const absl::Status status = service_.CheckServing();
    End(status.ok() ? absl::DeadlineExceededError(
                          absl::StrCat("the upload completed no message for upload_idle_timeout = ",
                                       absl::FormatDuration(service_.upload_idle_timeout_)))
                    : status);
  }

  absl::Status Take() {
    const Request& request = wire_.message;
    if (request.has_header()) return TakeHeader(request.header());
    if (!request.has_chunk()) {
      return absl::InvalidArgumentError("part: got none, expected a header or a chunk");
    }
    if (upload_ == nullptr) {
      return absl::InvalidArgumentError("part: got a chunk, expected the header first");
    }
    const v1::KeySetChunk& chunk = request.chunk();
    // An upload does not fail because requests are many: they wait for it.
    const ByteBudget::Charge charge = service_.budget_.ChargeAnyway(
        static_cast<int64_t>(chunk.keys().size() + chunk.values().size()));
    absl::Status status = upload_->Add(ColumnId::kKeys, chunk.keys());
    if (status.ok()) status = upload_->Add(ColumnId::kValues, chunk.values());
    return status;
  }

  absl::Status TakeHeader(const typename Request::Header& header) {
    if (upload_ != nullptr) {
      return absl::InvalidArgumentError("part: got a second header, expected chunks");
    }
    absl::Status status = CheckKeySetMetadata(context_, header.name());
    if (!status.ok()) return status;
    const absl::StatusOr<KeySetUploadSpec> spec = DecodeHeader(header, service_.key_sets_);
    if (!spec.ok()) return spec.status();
    absl::StatusOr<std::unique_ptr<KeySetUpload>> upload = service_.key_sets_.BeginUpload(*spec);
    if (!upload.ok()) return upload.status();
    upload_ = *std::move(upload);
    return absl::OkStatus();
  }

  // The client has said that this was all, or it is gone.
  void Commit() {
    absl::Status status;
    if (context_.IsCancelled()) {
      status = absl::CancelledError("the upload was cancelled");
    } else if (upload_ == nullptr) {
      status = absl::InvalidArgumentError("part: got no message, expected a header");
    } else {
      const absl::StatusOr<std::shared_ptr<const KeySet>> key_set = upload_->Commit();
      status = key_set.status();
      if (key_set.ok()) {
        EncodeKeySet(**key_set, *response_.mutable_key_set());
        LogChange(**key_set);
      }
    }
    End(status);
  }

  void LogChange(const KeySet& now) {
    const bool is_append = method_ == Method::kAppendKeySet;
    LogEvent change = {LogLevel::kInfo,
                       is_append ? "key set appended to" : "key set put",
                       {{"key_set", now.name()},
                        {"version", now.version()},
                        {"keys", now.m()},
                        {"bytes", now.memory_bytes()}}};
    if (is_append) change.fields.emplace_back("new_keys", upload_->m());
    service_.recorder_.LogChange(context_, std::move(change));
  }

  // The upload's memory and its temporary file go before the caller hears of the end.
  void End(const absl::Status& status) {
    upload_ = nullptr;
    service_.recorder_.RecordCall(method_, status, begin_);
    this->Finish(ToGrpcStatus(status, context_));
  }

  KeySetService& service_;
  const Method method_;
  const absl::Time begin_;
  grpc::CallbackServerContext& context_;
  Response& response_;
  WireMessage<Request> wire_;
  std::unique_ptr<KeySetUpload> upload_;
  Mutex read_mutex_;  // held while a read begins: nothing may end the call before it is released
};

KeySetService::KeySetService(KeySetStore* key_sets, ByteBudget* budget,
                             const CallRecorder* recorder, const Clock* clock,
                             absl::Duration upload_idle_timeout)
    : key_sets_(*key_sets),
      budget_(*budget),
      recorder_(*recorder),
      upload_idle_timeout_(upload_idle_timeout),
      idle_(clock, upload_idle_timeout) {
  AddUpload<v1::PutKeySetRequest, v1::PutKeySetResponse>(
      "/qkserve.v1.KeySetService/PutKeySet", [this](auto* context, auto* response) {
        return Upload<v1::PutKeySetRequest>(context, Method::kPutKeySet, response);
      });
  AddUpload<v1::AppendKeySetRequest, v1::AppendKeySetResponse>(
      "/qkserve.v1.KeySetService/AppendKeySet", [this](auto* context, auto* response) {
        return Upload<v1::AppendKeySetRequest>(context, Method::kAppendKeySet, response);
      });
  AddUnary<v1::GetKeySetRequest, v1::GetKeySetResponse>(
      "/qkserve.v1.KeySetService/GetKeySet", [this](auto* context, auto* wire, auto* response) {
        return GetKeySet(context, wire, response);
      });
  AddUnary<v1::ListKeySetsRequest, v1::ListKeySetsResponse>(
      "/qkserve.v1.KeySetService/ListKeySets", [this](auto* context, auto* wire, auto* response) {
        return ListKeySets(context, wire, response);
      });
  AddUnary<v1::DeleteKeySetRequest, v1::DeleteKeySetResponse>(
      "/qkserve.v1.KeySetService/DeleteKeySet",
      [this](auto* context, auto* wire, auto* /*response*/) {
        return DeleteKeySet(context, wire);
      });
}

void KeySetService::RefuseNewCalls(absl::Duration upload_idle_max) {
  is_draining_ = true;
  idle_.SetIdleMax(std::min(upload_idle_timeout_, upload_idle_max));
}

absl::Status KeySetService::CheckServing() const {
  return is_draining_ ? absl::UnavailableError("the server is draining") : absl::OkStatus();
}

template <class Request, class Response>
grpc::ServerReadReactor<WireMessage<Request>>* KeySetService::Upload(
    grpc::CallbackServerContext* context, Method method, Response* response) {
  return new UploadReactor<Request, Response>(this, method, context, response);
}

grpc::ServerUnaryReactor* KeySetService::GetKeySet(grpc::CallbackServerContext* context,
                                                   const WireMessage<v1::GetKeySetRequest>* wire,
                                                   v1::GetKeySetResponse* response) {
  const UnaryCall call(recorder_, Method::kGetKeySet, context);
  const std::string& name = wire->message.name();
  absl::Status status = wire->status;
  if (status.ok()) status = CheckKeySetMetadata(*context, name);
  if (status.ok()) {
    const absl::StatusOr<KeySetStore::Listed> listed = key_sets_.Get(name);
    status = listed.ok() ? listed->key_set.status() : listed.status();
    if (status.ok()) {
      EncodeKeySet(**listed->key_set, *response->mutable_key_set());
      response->mutable_key_set()->set_problem(ClientText(listed->problem));
    }
  }
  return call.Finish(status);
}

grpc::ServerUnaryReactor* KeySetService::ListKeySets(
    grpc::CallbackServerContext* context, const WireMessage<v1::ListKeySetsRequest>* wire,
    v1::ListKeySetsResponse* response) {
  constexpr int64_t kPageSizeMax = 1000;
  constexpr int64_t kPageSizeDefault = 100;
  const UnaryCall call(recorder_, Method::kListKeySets, context);
  const v1::ListKeySetsRequest& request = wire->message;
  absl::Status status = wire->status;
  const int64_t page_size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  if (page_size < 1 || page_size > kPageSizeMax) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("page_size: got ", request.page_size(), ", expected 1 to ", kPageSizeMax)));
  }
  if (!status.ok()) return call.Finish(status);
  // The token is the last name of the page before: sets may come and go meanwhile.
  const std::vector<KeySetStore::Listed> page = key_sets_.List(request.page_token(), page_size + 1);
  const size_t shown = std::min(page.size(), static_cast<size_t>(page_size));
  for (size_t i = 0; i < shown; ++i) {
    v1::KeySet& out = *response->add_key_sets();
    out.set_name(page[i].name);
    if (page[i].key_set.ok()) EncodeKeySet(**page[i].key_set, out);
    out.set_problem(ClientText(page[i].problem));
  }
  if (shown < page.size()) response->set_next_page_token(page[shown - 1].name);
  return call.Finish(absl::OkStatus());
}

grpc::ServerUnaryReactor* KeySetService::DeleteKeySet(
    grpc::CallbackServerContext* context, const WireMessage<v1::DeleteKeySetRequest>* wire) {
  const UnaryCall call(recorder_, Method::kDeleteKeySet, context);
  absl::Status status = wire->status;
  if (status.ok()) status = CheckServing();
  if (status.ok()) status = CheckKeySetMetadata(*context, wire->message.name());
  if (!status.ok()) return call.Finish(status);
  calls_.Begin();
  upload_threads_.Schedule([this, context, call, name = wire->message.name()] {
    // It may have waited.
    const absl::Status result = context->IsCancelled()
                                    ? absl::CancelledError("the caller cancelled the request")
                                    : Delete(name, *context);
    call.Finish(result);
    calls_.End();
  });
  return call.reactor();
}

absl::Status KeySetService::Delete(const std::string& name,
                                   const grpc::ServerContextBase& context) {
  int64_t version = 0;
  absl::Status status = key_sets_.Delete(name, &version);
  if (!status.ok()) return status;
  LogEvent change = {LogLevel::kInfo, "key set deleted", {{"key_set", name}}};
  // One that was damaged has none that is known.
  if (version > 0) change.fields.emplace_back("version", version);
  recorder_.LogChange(context, std::move(change));
  return status;
}

}  // namespace qkserve
