#include "server/rpc/key_set_service.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limit_error.h"
#include "base/status_macros.h"
#include "server/admission/field_error.h"
#include "server/limits.h"
#include "server/rpc/key_set_codec.h"

namespace qkserve {

namespace {

// The time after which a refused upload or deletion may come again. A deletion takes some
// milliseconds of a disk.
constexpr absl::Duration kChangeRetryAfter = absl::Seconds(1);

}  // namespace

// An upload's stream. upload_threads_ work on each message before the next one is read. This way
// gRPC's flow control slows down a client that is faster than packing and the disk. Only one thing
// happens at a time: a read or a task.
template <class Request, class Response>
class KeySetService::UploadReactor final : public grpc::ServerReadReactor<WireMessage<Request>> {
 public:
  UploadReactor(KeySetService* service, Method method, Grant grant,
                grpc::CallbackServerContext* context, Response* response)
      : service_(*service),
        method_(method),
        grant_(std::move(grant)),
        begin_(service->recorder_.Now()),
        context_(*context),
        response_(*response) {
    service_.calls_.Begin();
    EchoRequestTags(context_);
    absl::Status status = service_.CheckServing();
    // The permission is checked before a header comes. Otherwise uploads that never send a header
    // could take all places.
    if (grant_.permissions != nullptr && !grant_.permissions->MayWriteAny()) {
      status.Update(absl::PermissionDeniedError("the caller may write no key set"));
    }
    if (++service_.uploads_ > kUploadsMax) {
      status.Update(WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                       "more than ", kUploadsMax, " uploads are under way")),
                                   kChangeRetryAfter));
    }
    ContinueOrEnd(status);
  }

  void OnReadDone(bool ok) override {
    // If Disarm returns false, the upload has expired, and EndIdle ends it.
    if (!service_.idle_.Disarm(this)) return;
    service_.upload_threads_.Schedule([this, ok] {
      AwaitReadBegun();
      if (!ok) return End(Commit());
      service_.recorder_.metrics().CountReceived(wire_.bytes);
      const absl::Status status = wire_.status.ok() ? Take() : wire_.status;
      // This frees the message's memory before the next message is read.
      wire_ = {};
      ContinueOrEnd(status);
    });
  }

  void OnDone() override {
    --service_.uploads_;
    service_.calls_.End();
    delete this;
  }

 private:
  // Reads the next message, or ends the call with an error.
  void ContinueOrEnd(const absl::Status& status) {
    if (!status.ok()) return End(status);
    MutexLock lock(&read_mutex_);
    // The charge may exceed the limit, because many requests must not make an upload fail.
    wire_.inflate = {.bytes_max = InflatedBytesMax(service_.message_bytes_max_),
                     .budget = &service_.budget_,
                     .charges_anyway = true};
    service_.idle_.Arm(this, [this] { service_.upload_threads_.Schedule([this] { EndIdle(); }); });
    this->StartRead(&wire_);
  }

  // Waits until ContinueOrEnd has begun its read. Must be called before anything that may end the
  // call, because this object ends with the call.
  void AwaitReadBegun() { MutexLock lock(&read_mutex_); }

  void EndIdle() {
    AwaitReadBegun();
    absl::Status status = service_.CheckServing();
    status.Update(absl::DeadlineExceededError(
        absl::StrCat("the upload completed no message for upload_idle_timeout = ",
                     absl::FormatDuration(service_.upload_idle_timeout_))));
    End(status);
  }

  absl::Status Take() {
    const Request& request = wire_.message;
    if (request.has_header()) return TakeHeader(request.header());
    if (!request.has_chunk()) return FieldError("part", "none", "a header or a chunk");
    if (upload_ == nullptr) return FieldError("part", "a chunk", "the header first");
    const v1::KeySetChunk& chunk = request.chunk();
    // The bytes are charged even beyond the limit, because many requests must not make an upload
    // fail. New requests are refused meanwhile.
    const ByteBudget::Charge charge =
        service_.budget_.ChargeAnyway(static_cast<int64_t>(wire_.bytes));
    RETURN_IF_ERROR(upload_->Add(ColumnId::kKeys, chunk.keys()));
    return upload_->Add(ColumnId::kValues, chunk.values());
  }

  absl::Status TakeHeader(const typename Request::Header& header) {
    if (upload_ != nullptr) return FieldError("part", "a second header", "chunks");
    RETURN_IF_ERROR(CheckKeySetMetadata(context_, header.name()));
    ASSIGN_OR_RETURN(
        const KeySetUploadSpec spec,
        DecodeHeader(header, PermittedKeySets(&service_.key_sets_, grant_.permissions.get())));
    ASSIGN_OR_RETURN(upload_, service_.key_sets_.BeginUpload(spec));
    name_ = header.name();
    return absl::OkStatus();
  }

  // Checks that the caller may still make this change, because the operator may have taken its
  // token or permission away.
  absl::Status CheckStillPermitted() const {
    ASSIGN_OR_RETURN(const Grant now, service_.gate_.LookAgain(context_));
    const PermittedKeySets key_sets(&service_.key_sets_, now.permissions.get());
    return method_ == Method::kPutKeySet ? key_sets.CheckPut(name_) : key_sets.CheckChange(name_);
  }

  // Commits the upload. Called when the client has ended its stream or has gone.
  absl::Status Commit() {
    if (context_.IsCancelled()) return absl::CancelledError("the upload was cancelled");
    if (upload_ == nullptr) return FieldError("part", "no message", "a header");
    RETURN_IF_ERROR(CheckStillPermitted());
    ASSIGN_OR_RETURN(const std::shared_ptr<const KeySet> key_set, upload_->Commit());
    EncodeKeySet(*key_set, *response_.mutable_key_set());
    LogChange(*key_set);
    return absl::OkStatus();
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
    service_.recorder_.LogChange(context_, std::move(change), grant_.identity);
  }

  // Ends the call. The upload's memory and its temporary file are released before the caller hears
  // of the end.
  void End(const absl::Status& status) {
    upload_ = nullptr;
    service_.recorder_.RecordCall(context_, method_, status, begin_, grant_.identity);
    this->Finish(ToGrpcStatus(status, context_));
  }

  KeySetService& service_;
  const Method method_;
  const Grant grant_;
  const absl::Time begin_;
  grpc::CallbackServerContext& context_;
  Response& response_;
  WireMessage<Request> wire_;
  std::unique_ptr<KeySetUpload> upload_;
  std::string name_;  // the upload's key set
  Mutex read_mutex_;  // held while a read begins, because nothing may end the call then
};

KeySetService::KeySetService(KeySetStore* key_sets, ByteBudget* budget, InFlightCalls* calls,
                             const CallGate* gate, const CallRecorder* recorder, const Clock* clock,
                             absl::Duration upload_idle_timeout, int64_t message_bytes_max,
                             int64_t deletions_max)
    : WireService(gate),
      key_sets_(*key_sets),
      budget_(*budget),
      message_bytes_max_(message_bytes_max),
      deletions_max_(deletions_max),
      gate_(*gate),
      recorder_(*recorder),
      upload_idle_timeout_(upload_idle_timeout),
      calls_(*calls),
      idle_(clock, upload_idle_timeout) {
  AddUpload<v1::PutKeySetRequest, v1::PutKeySetResponse>(
      "/qkserve.v1.KeySetService/PutKeySet", Method::kPutKeySet,
      [this](Grant grant, auto* context, auto* response) {
        return new UploadReactor<v1::PutKeySetRequest, v1::PutKeySetResponse>(
            this, Method::kPutKeySet, std::move(grant), context, response);
      });
  AddUpload<v1::AppendKeySetRequest, v1::AppendKeySetResponse>(
      "/qkserve.v1.KeySetService/AppendKeySet", Method::kAppendKeySet,
      [this](Grant grant, auto* context, auto* response) {
        return new UploadReactor<v1::AppendKeySetRequest, v1::AppendKeySetResponse>(
            this, Method::kAppendKeySet, std::move(grant), context, response);
      });
  AddAnswer<v1::GetKeySetRequest, v1::GetKeySetResponse>(
      "/qkserve.v1.KeySetService/GetKeySet", Method::kGetKeySet, recorder_,
      std::bind_front(&KeySetService::GetKeySet, this));
  AddAnswer<v1::ListKeySetsRequest, v1::ListKeySetsResponse>(
      "/qkserve.v1.KeySetService/ListKeySets", Method::kListKeySets, recorder_,
      std::bind_front(&KeySetService::ListKeySets, this));
  AddUnary<v1::DeleteKeySetRequest, v1::DeleteKeySetResponse>(
      "/qkserve.v1.KeySetService/DeleteKeySet", Method::kDeleteKeySet,
      std::bind_front(&KeySetService::DeleteKeySet, this));
}

void KeySetService::RefuseNewCalls(absl::Duration upload_idle_max) {
  is_draining_ = true;
  idle_.SetIdleMax(std::min(upload_idle_timeout_, upload_idle_max));
}

absl::Status KeySetService::CheckServing() const {
  return is_draining_ ? absl::UnavailableError("the server is draining") : absl::OkStatus();
}

absl::Status KeySetService::GetKeySet(const grpc::ServerContextBase& context, const Grant& grant,
                                      const v1::GetKeySetRequest& request,
                                      v1::GetKeySetResponse& response) const {
  RETURN_IF_ERROR(CheckKeySetMetadata(context, request.name()));
  const PermittedKeySets key_sets(&key_sets_, grant.permissions.get());
  ASSIGN_OR_RETURN(const KeySetStore::Listed listed, key_sets.Get(request.name()));
  RETURN_IF_ERROR(listed.key_set.status());
  EncodeKeySet(**listed.key_set, *response.mutable_key_set());
  response.mutable_key_set()->set_problem(ClientText(listed.problem));
  return absl::OkStatus();
}

absl::Status KeySetService::ListKeySets(const grpc::ServerContextBase& /*context*/,
                                        const Grant& grant, const v1::ListKeySetsRequest& request,
                                        v1::ListKeySetsResponse& response) const {
  constexpr int64_t kPageSizeMax = 1000;
  constexpr int64_t kPageSizeDefault = 100;
  const int64_t page_size = request.page_size() == 0 ? kPageSizeDefault : request.page_size();
  if (page_size < 1 || page_size > kPageSizeMax) {
    return FieldError("page_size", request.page_size(), absl::StrCat("1 to ", kPageSizeMax));
  }
  // The page token is the last name of the page before, because sets may come and go between pages.
  const std::vector<KeySetStore::Listed> page =
      PermittedKeySets(&key_sets_, grant.permissions.get())
          .List(request.page_token(), page_size + 1);
  const size_t shown = std::min(page.size(), static_cast<size_t>(page_size));
  for (size_t i = 0; i < shown; ++i) {
    v1::KeySet& out = *response.add_key_sets();
    out.set_name(page[i].name);
    if (page[i].key_set.ok()) EncodeKeySet(**page[i].key_set, out);
    out.set_problem(ClientText(page[i].problem));
  }
  if (shown < page.size()) response.set_next_page_token(page[shown - 1].name);
  return absl::OkStatus();
}

absl::Status KeySetService::Delete(const grpc::ServerContextBase& context, const std::string& name,
                                   int64_t* version) {
  // This check comes before the permission, because its error is the same for all sets, even for
  // those that the caller may not see.
  RETURN_IF_ERROR(key_sets_.CheckWritable());
  ASSIGN_OR_RETURN(const Grant now, gate_.LookAgain(context));
  RETURN_IF_ERROR(PermittedKeySets(&key_sets_, now.permissions.get()).CheckChange(name));
  return key_sets_.Delete(name, version);
}

grpc::ServerUnaryReactor* KeySetService::DeleteKeySet(
    const Grant& grant, grpc::CallbackServerContext* context,
    const WireMessage<v1::DeleteKeySetRequest>* wire, v1::DeleteKeySetResponse* /*response*/) {
  const UnaryCall call(recorder_, Method::kDeleteKeySet, grant.identity, context);
  absl::Status status = wire->status;
  if (status.ok()) status = CheckServing();
  if (status.ok()) status = CheckKeySetMetadata(*context, wire->message.name());
  // The task below counts deletions_ down again.
  if (status.ok() && ++deletions_ > deletions_max_) {
    --deletions_;
    status = WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat("more than ", deletions_max_,
                                                                      " deletions are under way")),
                            kChangeRetryAfter);
  }
  if (!status.ok()) return call.Finish(status);
  calls_.Begin();
  upload_threads_.Schedule([this, context, call, name = wire->message.name()] {
    // The call may have been cancelled while this task waited.
    absl::Status result = absl::CancelledError("the caller cancelled the request");
    int64_t version = 0;
    if (!context->IsCancelled()) result = Delete(*context, name, &version);
    if (result.ok()) {
      LogEvent change = {LogLevel::kInfo, "key set deleted", {{"key_set", name}}};
      // The version of a damaged set is 0, because it is not known.
      if (version > 0) change.fields.emplace_back("version", version);
      recorder_.LogChange(*context, std::move(change), call.identity());
    }
    call.Finish(result);
    --deletions_;
    calls_.End();
  });
  return call.reactor();
}

}  // namespace qkserve
