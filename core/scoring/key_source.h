#ifndef QKSERVE_CORE_SCORING_KEY_SOURCE_H_
#define QKSERVE_CORE_SCORING_KEY_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/batching/job.h"
#include "core/kernels/panels.h"
#include "core/scoring/problem.h"
#include "core/scoring/score_mask.h"
#include "core/scoring/score_shape.h"

namespace qkserve {

class RowCut;

// The sizes of a source's keys and values.
struct KeySizes {
  int64_t matrices = 1;
  int64_t m = 0;
  int64_t d = 0;
  int64_t dv = 0;  // 0: there are no values, or none are read
};

// How a source cuts its keys.
struct KeyCut {
  // The keys are cut into splits of `split_keys` keys, from key 0 on. Context is summed within each
  // split, and the sums are merged in order. So the bits of a context depend on the cut.
  int64_t split_keys = 1;
  int64_t splits = 1;
  // The most rows of a block, and the most parts into which the keys of a block are cut.
  int64_t block_rows = 1;
  int64_t parts = 1;
  bool is_scratch = false;  // true: each block has one part, whose state is in scratch memory
};

// A row of a block. Members have no initial values, because each tile has room for kBlockRows rows
// and sets only those that it needs.
struct BlockRow {
  const ScoreRequest* request;
  const ScoreMask* mask;
  int64_t slice;
  int64_t query;      // index of the query in its slice
  int64_t query_row;  // row of the queries tensor
  int64_t result_row;
  std::byte* state;  // memory of the reducer
};

// The query rows of a block.
struct BlockQueries {
  absl::Span<const BlockRow> rows;
  const float* floats = nullptr;  // rows x d; set and read only if the source IsShared
};

// The work of a request on its source. The cost model reads it (score_cost.h).
struct ScoreWork {
  double multiply_adds = 0;  // for products, weighted values, stages and calls
  double row_seconds = 0;    // for rows, beside their multiply-adds
  double read_seconds = 0;   // for reading keys and values
};

// Keys and values, and the way to multiply them. A source decides the cuts that affect the bits of
// a result: the rows of a block, the steps and the splits.
//
// Immutable and thread-safe. Virtual functions are called once for a block or a step, not for each
// element.
class KeySource {
 public:
  virtual ~KeySource() = default;

  const KeySizes& sizes() const { return sizes_; }
  const KeyCut& key_cut() const { return key_cut_; }

  // Stacks the requests' rows in blocks and cuts the blocks into tiles. Throws std::bad_alloc. The
  // source must outlive the cut.
  virtual RowCut Cut(absl::Span<const ScoreRequest* const> requests) const = 0;

  // True if requests share the source's passes. The rows of a block may then come from any
  // requests, and Multiply reads BlockQueries::floats. All keys of a step are multiplied, whichever
  // of them the rows attend.
  //
  // False if the source has the keys of one request. A block's rows are then consecutive in the
  // queries and the results, and Multiply reads the queries from the request's tensor. The last
  // step ends with the last attended key.
  virtual bool IsShared() const = 0;

  // Computes products[i * stride + j] = q_i . k_j for keys [keys.begin, keys.end) of a matrix. If
  // IsShared, `products` is aligned, `stride` is a multiple of 16, and columns up to the next
  // multiple of kPanelKeys may be overwritten. RESOURCE_EXHAUSTED: there is no memory for converted
  // elements.
  virtual absl::Status Multiply(const BlockQueries& queries, int64_t matrix, KeyRange keys,
                                float* products, int64_t stride) const = 0;

  // Adds the weighted values of keys [keys.begin, keys.end) to `sums`, as AddWeightedPanels does.
  // Rows of weights are `stride` apart.
  virtual void AddWeightedValues(const float* weights, int64_t stride, int64_t rows, int64_t matrix,
                                 KeyRange keys, const ContextSums& sums) const = 0;

  // Returns a pass that multiplies straight into the reply (direct_scores.h), or null if the
  // request has no such pass.
  virtual std::unique_ptr<Pass> MakeDirectPass(const ScoreRequest& /*request*/) const {
    return nullptr;
  }

  // Returns the work of a request of this shape on the source, for the cost model. Takes constant
  // time.
  virtual ScoreWork WorkOf(const AttentionProblem& problem, const ScoreShape& shape) const = 0;

 protected:
  explicit KeySource(const KeySizes& sizes) : sizes_(sizes) {}

  const KeySizes sizes_;
  KeyCut key_cut_;  // set by the constructor
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_KEY_SOURCE_H_
