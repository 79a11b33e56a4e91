#ifndef QKSERVE_SERVER_OPTIONS_H_
#define QKSERVE_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/limits.h"

namespace qkserve {

// What an operator chooses; main.cc fills it from flags of the same names.
struct ServerOptions {
  // HOST:PORT or unix:PATH. Port 0 takes a free one.
  std::string listen_address = "127.0.0.1:50051";

  // Threads that compute. 0: as many as CPUs this process may use.
  int64_t workers = 0;

  // Largest message, each way.
  int64_t message_bytes_max = kMessageBytesMax;

  // Bytes of requests and results over all requests in flight.
  int64_t in_flight_bytes_max = kInFlightBytesMax;

  // Bounds of the queue: requests, and the predicted time to serve them.
  int64_t queue_requests_max = kQueueRequestsMax;
  absl::Duration queue_time_max = absl::Seconds(10);

  // After SIGTERM: how long new calls are turned away with UNAVAILABLE before connections close, so
  // that callers and proxies go elsewhere without a broken call.
  absl::Duration drain_grace = absl::Milliseconds(200);

  // How long after that requests in flight may take to finish.
  absl::Duration drain_timeout = absl::Seconds(30);

  // INVALID_ARGUMENT names the option, what it was and what is possible.
  absl::Status Validate() const;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_OPTIONS_H_
