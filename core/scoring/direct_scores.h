#ifndef QKSERVE_CORE_SCORING_DIRECT_SCORES_H_
#define QKSERVE_CORE_SCORING_DIRECT_SCORES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "core/batching/job.h"
#include "core/scoring/key_source.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_mask.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

// A pass for scores, capped scores and masked scores of inline keys. All other requests use
// ScorePass. OpenBLAS multiplies straight into the reply if the results are float32. A tile is a
// block of rows x keys of the result, because such blocks suit OpenBLAS better than blocks of whole
// rows. A tile has at most kTileMultiplyAdds, but at least one dot product. A block of masked
// scores is not multiplied if none of its queries attends any of its keys.
//
// The cut decides how sums are rounded. Only the request's shape decides the cut.
class DirectScores final : public Pass {
 public:
  // The cut of a shape's results. A tile is a part of a product, or several small products.
  struct Cut {
    int64_t tile_rows = 0;
    int64_t tile_keys = 0;
    int64_t row_tiles = 1;
    int64_t key_tiles = 1;
    int64_t products_per_tile = 1;  // above 1 only if products are not cut
    int64_t tile_count = 1;
  };
  // Returns the cut of a shape. Takes constant time.
  static Cut CutOf(const ScoreShape& shape);
  // Returns the work of a request of this shape, for the cost model.
  static ScoreWork WorkOf(const ScoreShape& shape, const Cut& cut);

  // Requires cut == CutOf(request.shape). The request must outlive the pass.
  DirectScores(const ScoreRequest& request, const Cut& cut)
      : request_(request), mask_(request.problem, request.shape), cut_(cut) {}

  int64_t tile_count() const override { return cut_.tile_count; }
  // RESOURCE_EXHAUSTED: there is no memory for narrowed scores or converted elements.
  absl::Status RunTile(int64_t tile) override;

 private:
  // Rows [row, row + rows) against keys [key, key + keys) of one product.
  struct Tile {
    int64_t product, row, rows, key, keys;
  };

  absl::Status ComputeTile(const Tile& tile) const;
  bool IsAttended(const Tile& tile) const;

  const ScoreRequest& request_;
  const ScoreMask mask_;
  const Cut cut_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_DIRECT_SCORES_H_
