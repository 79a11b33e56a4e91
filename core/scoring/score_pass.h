#ifndef QKSERVE_CORE_SCORING_SCORE_PASS_H_
#define QKSERVE_CORE_SCORING_SCORE_PASS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batching/job.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"

namespace qkserve {

// The eight words for how work is cut. Requests A, B and C read the same 2048 keys:
//
//             0          512        1024       1536       2048   keys of a matrix
//             +----------+----------+----------+----------+
//       row 0 |          :          |          :          |  slice 0 of A \  product
//             |       tile 0        |       tile 1        |  slice 1 of A /  of A
//             |          :          |          :          |
//         127 |          :          |          :          |  slice 0 of B    product of B
//             +----------+----------+----------+----------+  block 0 ends
//         128 |       tile 2        |       tile 3        |
//         200 |          :          |          :          |  slice 0 of C    product of C
//             +----------+----------+----------+----------+  block 1 ends
//             |   step   :   step   |   step   :   step   |  of 8 panels each
//             |       split 0       |       split 1       |
//
//  slice    The scores [n, m] of one combination of leading dimensions.
//  product  Consecutive slices of a request that share their keys (ScoreShape).
//  matrix   The keys [m, d], and values [m, dv], of one combination of their leading dimensions.
//  block    Up to kBlockRows (128) rows that read one matrix and are multiplied together.
//  panel    kPanelKeys (64) packed keys. The packed kernel takes one panel at a time. Inline keys
//           have no panels.
//  step     kStepKeys (512) keys. Their scores for a block are 256 KiB, which stay in the L2 cache
//           while they are scaled, capped, masked and reduced.
//  split    Consecutive steps, cut from key 0 on. Context is summed within a split; then the sums
//           of the splits are merged in order. So the bits do not depend on the tiles. The keys of
//           a key set decide its splits. A request decides the splits of its inline keys.
//  tile     The work that a worker takes at a time: about 1 ms, or 0.4 to 5 ms with inline keys.
//           It is a part of a block's keys, or several small blocks, even of several matrices. A
//           part consists of splits or, if no values are summed, of panels.

// A pass goes once over the keys of a source. It answers one request with inline keys, or any
// number of requests on packed keys.
//
// The rows that read a matrix are stacked in blocks (KeySource::Cut). A part of a block multiplies
// its queries with the keys step by step, and each row's reducer takes the scores of a step while
// they are in the cache. A part that ends merges the partial results that other parts have left.
// The last part writes the results.
//
// Invariants:
//  1. The bits of a request's results depend on the request and its source, never on other
//     requests, workers or load.
//  2. Each element of the results is written by exactly one tile.
//  3. A tile's rows are computed from its number, so a pass of millions of rows is made in
//     microseconds. No tile is long.
//
// Tiles may run on any threads at the same time.
//
// Makes the pass that answers the requests. If the source has a direct pass for the request
// (direct_scores.h), returns that pass. If keys are not shared and there are at most 256 blocks,
// allocates their partial results at once, so that a lack of memory refuses the request before it
// is queued. The requests must outlive the pass. RESOURCE_EXHAUSTED: there is no memory for the
// pass. The pass's tiles may return this error, too.
absl::StatusOr<std::unique_ptr<Pass>> MakeScorePass(std::shared_ptr<const KeySource> source,
                                                    absl::Span<const ScoreRequest* const> requests);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_SCORE_PASS_H_
