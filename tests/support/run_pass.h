#ifndef QKSERVE_TESTS_SUPPORT_RUN_PASS_H_
#define QKSERVE_TESTS_SUPPORT_RUN_PASS_H_

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"

namespace qkserve {

// Answers the requests in one pass. The tiles run from the last to the first on `threads` threads.
// Expects that every tile succeeds. Returns the number of tiles.
int64_t RunPass(std::shared_ptr<const KeySource> source,
                absl::Span<const ScoreRequest* const> requests, int threads = 1);

// Answers one request with inline keys in the same way.
int64_t RunInline(const ScoreRequest& request, int threads = 1);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_RUN_PASS_H_
