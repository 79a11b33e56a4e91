#ifndef QKSERVE_SERVER_ADMISSION_SUBMIT_SCORE_H_
#define QKSERVE_SERVER_ADMISSION_SUBMIT_SCORE_H_

#include "core/batching/batcher.h"
#include "server/admission/admit_score.h"
#include "server/admission/responder.h"
#include "server/admission/score_call.h"

namespace qkserve {

// The way of every score call into the batcher, whatever protocol it came by: admits the call and
// submits it, or fails it. The responder is told exactly once, maybe before this returns. Does not
// block. Thread-safe.
void SubmitScore(ScoreCall call, Responder* responder, const AdmissionOptions& options,
                 Batcher* batcher);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ADMISSION_SUBMIT_SCORE_H_
