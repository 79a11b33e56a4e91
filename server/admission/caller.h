#ifndef QKSERVE_SERVER_ADMISSION_CALLER_H_
#define QKSERVE_SERVER_ADMISSION_CALLER_H_

#include <memory>

#include "core/batching/job.h"
#include "server/admission/tenants.h"

namespace qkserve {

// The maker of a call of any protocol.
struct Caller {
  std::shared_ptr<Tenant> tenant = nullptr;  // who pays
  Priority priority = Priority::kNormal;
};

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_CALLER_H_
