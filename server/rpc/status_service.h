#ifndef QKSERVE_SERVER_RPC_STATUS_SERVICE_H_
#define QKSERVE_SERVER_RPC_STATUS_SERVICE_H_

#include "server/admission/compute_setup.h"
#include "server/observe/metrics_exporter.h"
#include "server/rpc/wire_service.h"

namespace qkserve {

// The RPCs of qkserve.v1.StatusService.
class StatusService final : public WireService {
 public:
  // The pointers must outlive the service. The uptime begins when this object is made.
  StatusService(const ComputeSetup& compute, const ServerParts& parts, const CallGate* gate,
                const CallRecorder* recorder);
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_RPC_STATUS_SERVICE_H_
