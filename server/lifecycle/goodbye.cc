#include "server/lifecycle/goodbye.h"

#include "grpc/grpc.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

// Methods of gRPC's class Server. Every version so far has them, and gRPC's own tests use them in
// this way. No public function calls them. They are declared by the linker names that the C++ ABI
// of GCC and Clang gives to methods without arguments. If a version lacks a method, the method's
// address is null.
extern "C" {
[[gnu::weak]] void GrpcServerStopListening(grpc_server* server) __asm__(
    "_ZN9grpc_core6Server13StopListeningEv");
[[gnu::weak]] void GrpcServerSendGoaways(grpc_server* server) __asm__(
    "_ZN9grpc_core6Server11SendGoawaysEv");
}

namespace qkserve {

bool SendClientsAway(grpc::Server& server) {
  if (&GrpcServerStopListening == nullptr || &GrpcServerSendGoaways == nullptr) return false;
  // Both functions need a context that gRPC keeps on a thread's stack. gRPC makes this context when
  // it frees a byte buffer. Therefore the functions are called while a buffer is freed.
  const auto send = [](void* core) {
    auto* const server = static_cast<grpc_server*>(core);
    GrpcServerStopListening(server);
    GrpcServerSendGoaways(server);
  };
  static char byte = 0;
  grpc::Slice slice(&byte, 1, send, server.c_server());
  grpc::ByteBuffer buffer(&slice, 1);
  slice = grpc::Slice();
  buffer.Clear();
  return true;
}

void CloseConnections(grpc::Server& server) { grpc_server_cancel_all_calls(server.c_server()); }

}  // namespace qkserve
