#include "server/lifecycle/goodbye.h"

#include "grpc/grpc.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

// Methods of gRPC's class Server, which every version so far has: gRPC's own tests use them in
// this way. No public function calls them. They are declared by their linker names, which the C++
// ABI of GCC and Clang gives a method without arguments. If a version lacks one, its address is
// null.
extern "C" {
[[gnu::weak]] void GrpcServerStopListening(grpc_server* server) __asm__(
    "_ZN9grpc_core6Server13StopListeningEv");
[[gnu::weak]] void GrpcServerSendGoaways(grpc_server* server) __asm__(
    "_ZN9grpc_core6Server11SendGoawaysEv");
}

namespace qkserve {

bool SendClientsAway(grpc::Server& server) {
  if (&GrpcServerStopListening == nullptr || &GrpcServerSendGoaways == nullptr) return false;
  // Both need a context that gRPC keeps on the stack of a thread. It makes one when it frees a byte
  // buffer, so they are called from there.
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
