#include "server/rpc/reflection_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/wire_message.h"

namespace qkserve {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

// Adds the file and all that it imports, each once.
void AddFiles(const FileDescriptor& file, std::set<const FileDescriptor*>& added,
              grpc::reflection::v1::FileDescriptorResponse& out) {
  if (!added.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  proto.SerializeToString(out.add_file_descriptor_proto());
  for (int i = 0; i < file.dependency_count(); ++i) AddFiles(*file.dependency(i), added, out);
}

void AnswerFile(const FileDescriptor* file, ServerReflectionResponse& response) {
  if (file == nullptr) {
    response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
    response.mutable_error_response()->set_error_message("this server does not know it");
    return;
  }
  std::set<const FileDescriptor*> added;
  AddFiles(*file, added, *response.mutable_file_descriptor_response());
}

void AnswerExtensions(const std::string& type, ServerReflectionResponse& response) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  const Descriptor* const message = pool.FindMessageTypeByName(type);
  if (message == nullptr) return AnswerFile(nullptr, response);
  auto& out = *response.mutable_all_extension_numbers_response();
  out.set_base_type_name(type);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(message, &extensions);
  for (const FieldDescriptor* extension : extensions) {
    out.add_extension_number(extension->number());
  }
}

}  // namespace

// A stream that reads and answers requests in turns. Only one read or write is under way at a time.
class ReflectionService::Stream final
    : public grpc::ServerBidiReactor<WireMessage<Request>, Response> {
 public:
  explicit Stream(const ReflectionService* service) : service_(*service) { StartRead(&wire_); }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    if (!wire_.status.ok()) return Finish(ToGrpcStatus(wire_.status));
    response_.Clear();
    service_.Answer(wire_.message, response_);
    wire_ = {};
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);  // the caller went
    StartRead(&wire_);
  }

  void OnDone() override { delete this; }

 private:
  const ReflectionService& service_;
  WireMessage<Request> wire_;
  Response response_;
};

ReflectionService::ReflectionService(std::set<std::string> services, const CallGate* gate)
    : WireService(gate), services_(std::move(services)) {
  // Links the description of v1alpha, which nothing else uses.
  static_cast<void>(grpc::reflection::v1alpha::ServerReflectionRequest::descriptor());
  const auto start = [this](const Grant& /*grant*/, auto* /*context*/) { return new Stream(this); };
  AddExchange<Request, Response>("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                 std::nullopt, start);
  AddExchange<Request, Response>("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                 std::nullopt, start);
}

void ReflectionService::Answer(const Request& request, Response& response) const {
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  switch (request.message_request_case()) {
    case Request::kFileByFilename:
      return AnswerFile(pool.FindFileByName(request.file_by_filename()), response);
    case Request::kFileContainingSymbol:
      return AnswerFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), response);
    case Request::kFileContainingExtension: {
      const auto& asked = request.file_containing_extension();
      const Descriptor* const type = pool.FindMessageTypeByName(asked.containing_type());
      const FieldDescriptor* const extension =
          type == nullptr ? nullptr : pool.FindExtensionByNumber(type, asked.extension_number());
      return AnswerFile(extension == nullptr ? nullptr : extension->file(), response);
    }
    case Request::kAllExtensionNumbersOfType:
      return AnswerExtensions(request.all_extension_numbers_of_type(), response);
    case Request::kListServices:
      for (const std::string& service : services_) {
        response.mutable_list_services_response()->add_service()->set_name(service);
      }
      return;
    case Request::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("message_request: got none");
  }
}

}  // namespace qkserve
