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

// How the work is cut. Eight words name the pieces, here for one matrix of 1500 keys:
//
//                 keys 0         512        1024       1500
//                  |    split 0   |       split 1       |      slice    [n, m] scores of one
//                  |    step      |   step   |   step   |               combination of leading
//                  panels of 64   |          |          |               dimensions
//   request A    +-+-+-+-+-+-+-+-+----------+----------+      product  slices that follow one
//    slice 0   n | block 0        :          :          |               another and share keys
//    slice 1   n |  (128 rows)    :          :          |      matrix   [m, d] keys, and values,
//    that
//   request B    |.tile 0.........:..tile 1.............|               are read together
//    slice 0   n |----------------+----------+----------|      block    up to 128 rows that read
//    one
//   request C    | block 1        :          :          |               matrix, multiplied together
//    slice 0   n |.tile 2.........:..tile 3.............|      tile     what a worker takes at a
//    time
//                +----------------+----------+----------+
//
//  panel  64 packed keys: what the packed kernel multiplies at a time. Inline keys have none.
//  step   512 keys: their scores for the rows of a block are 256 KiB and stay in the L2 cache while
//         they are scaled, capped, masked and reduced.
//  split  Some steps that context is summed over by itself. Splits are merged in order, and are cut
//         by the keys, or by the inline request: so the bits do not depend on the tiles.
//  tile   A part of a block's keys (some splits, or, if nothing is summed, some panels), or several
//         small blocks, or all blocks of several small matrices: about 1 ms.

// One go over the keys of a source that answers some requests: 1 for inline keys, any number for
// packed keys.
//
// The rows that read a matrix are stacked in blocks (KeySource::Cut). A part of a block multiplies
// its queries with the keys step by step, and each row's reducer takes the step's scores in the
// cache. The last part of a block that ends merges what the parts found and writes the results.
//
// Invariants:
//  1. The bits of a request's results depend on the request and its source, never on other
//  requests,
//     workers or load.
//  2. Each element of the results is written by exactly one tile.
//  3. A tile makes its rows from its number, so a pass of millions of rows is made in microseconds
//     and no tile is long.
//
// Tiles may run in any threads at the same time.
class ScorePass final : public Pass {
 public:
  // The requests must outlive the pass. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<ScorePass>> Create(
      std::shared_ptr<const KeySource> source, absl::Span<const ScoreRequest* const> requests);

  int64_t tile_count() const override { return tile_count_; }
  // RESOURCE_EXHAUSTED: no memory for what the tile holds.
  absl::Status RunTile(int64_t tile) override;

 private:
  using Groups = absl::InlinedVector<RowGroup, 4>;

  // Results of a request that no key has a part in.
  struct Fill {
    const ScoreRequest* request;
    UnattendedColumns columns;
    int64_t first_tile;
  };

  // A part of a block that runs.
  struct Part {
    const Block& block;
    BlockQueries queries;
    const Groups& groups;
    KeyRange keys;      // of the part
    KeyRange attended;  // keys that any row of the block needs
  };

  ScorePass(std::shared_ptr<const KeySource> source, RowCut cut);

  void AddFill(const ScoreRequest& request);
  void RunFill(int64_t tile) const;
  absl::Status RunPart(const Block& block, int64_t part);
  Groups MakeGroups(const Block& block, const RowRanges& ranges, absl::Span<BlockRow> rows) const;
  absl::Status RunOnlyPart(const Block& block, const BlockQueries& queries, Groups& groups) const;
  absl::Status RunOneOfParts(const Block& block, int64_t part, const BlockQueries& queries,
                             Groups& groups);
  absl::Status RunKeys(const Part& part) const;
  absl::Status RunSplit(const Part& part, int64_t split, KeyRange keys, float* products) const;
  KeyRange AttendedKeys(const Groups& groups) const;

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
