#ifndef QKSERVE_CORE_SCORING_SCORE_PASS_H_
#define QKSERVE_CORE_SCORING_SCORE_PASS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batching/job.h"
#include "core/scoring/fill_unattended.h"
#include "core/scoring/key_source.h"
#include "core/scoring/partials.h"
#include "core/scoring/row_cut.h"
#include "core/scoring/row_reducer.h"

namespace qkserve {

// How the work is cut, in eight words. Requests A, B and C read the same 2048 keys:
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
//  product  Slices of a request that follow one another and share their keys (ScoreShape).
//  matrix   The keys [m, d], and values [m, dv], of one combination of their leading dimensions.
//  block    Up to kBlockRows (128) rows that read one matrix and are multiplied together.
//  panel    kPanelKeys (64) packed keys, which the packed kernel takes at a time. Inline keys have
//           none.
//  step     kStepKeys (512) keys. Their scores for a block are 256 KiB, which stay in the L2 cache
//           while they are scaled, capped, masked and reduced.
//  split    Some steps over which context is summed by itself. Splits are cut by the keys, or by
//           the inline request, and merged in order: so tiles do not show in the bits.
//  tile     What a worker takes at a time, about 1 ms (inline keys: 0.4 to 5 ms): a part of a
//           block's keys, or several small blocks, or all blocks of several small matrices. A part
//           is some splits or, if nothing is summed, some panels.

// One go over the keys of a source that answers some requests: 1 for inline keys, any number for
// packed keys.
//
// The rows that read a matrix are stacked in blocks (KeySource::Cut). A part of a block multiplies
// its queries with the keys step by step, and each row's reducer takes the step's scores in the
// cache. The last part of a block that ends merges what the parts found and writes the results.
//
// Invariants:
//  1. The bits of a request's results depend on the request and its source, never on other
//     requests, workers or load.
//  2. Each element of the results is written by exactly one tile.
//  3. A tile makes its rows from its number, so a pass of millions of rows is made in microseconds
//     and no tile is long.
//
// Tiles may run in any threads at the same time.
class ScorePass final : public Pass {
 public:
  // The requests must outlive the pass. A pass over keys that are not shared allocates its partial
  // results at once, so that a lack of memory refuses the request before it is queued.
  // RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<ScorePass>> Create(
      std::shared_ptr<const KeySource> source, absl::Span<const ScoreRequest* const> requests);

  int64_t tile_count() const override { return tile_count_; }
  // RESOURCE_EXHAUSTED: no memory for what the tile holds.
  absl::Status RunTile(int64_t tile) override;

 private:
  // Results of a request that no key has a part in.
  struct Fill {
    const ScoreRequest* request;
    UnattendedColumns columns;
    int64_t first_tile;
  };

  // The input of a part of a block.
  struct Work {
    int64_t matrix;
    const BlockQueries& queries;
    const RowGroups& groups;
    KeyRange attended;  // keys that any row of the block needs, to the ends of steps
  };

  ScorePass(std::shared_ptr<const KeySource> source, RowCut cut);

  // Allocates the memory of all blocks that have several parts.
  absl::Status AllocateBlocks();
  absl::StatusOr<Partials::Shared> Share(const Block& block, const RowGroups& groups);
  void AddFill(const ScoreRequest& request);
  void RunFill(int64_t tile) const;
  absl::Status RunPart(const Block& block, int64_t part);
  RowGroups MakeGroups(const Block& block, absl::Span<BlockRow> rows) const;
  absl::Status RunOnlyPart(const Block& block, const BlockQueries& queries,
                           RowGroups& groups) const;
  absl::Status RunOneOfParts(const Block& block, int64_t part, const BlockQueries& queries,
                             RowGroups& groups);
  absl::Status RunKeys(const Block& block, int64_t part, const BlockQueries& queries,
                       const RowGroups& groups) const;
  absl::Status RunSplit(const Work& work, int64_t split, KeyRange keys, float* products) const;
  KeyRange AttendedKeys(const RowGroups& groups) const;

  const std::shared_ptr<const KeySource> source_;
  const RowCut cut_;
  std::vector<Fill> fills_;
  int64_t tile_count_;
  Partials partials_;
};

// The pass that answers the requests: a ScorePass, or the source's direct one. The requests must
// outlive it. RESOURCE_EXHAUSTED: no memory.
absl::StatusOr<std::unique_ptr<Pass>> MakeScorePass(std::shared_ptr<const KeySource> source,
                                                    absl::Span<const ScoreRequest* const> requests);

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_SCORE_PASS_H_
