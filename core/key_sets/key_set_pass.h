#ifndef QKSERVE_CORE_KEY_SETS_KEY_SET_PASS_H_
#define QKSERVE_CORE_KEY_SETS_KEY_SET_PASS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/attention/key_mask.h"
#include "core/attention/online_softmax.h"
#include "core/attention/top_k.h"
#include "core/batching/job.h"
#include "core/buffer.h"
#include "core/key_sets/key_set.h"
#include "core/key_sets/key_set_request.h"

namespace qkserve {

// One go over a key set's keys that answers several requests, whatever their number of queries,
// output, mask or k.
//
// The rows that read one matrix of the set are stacked in blocks. A block goes over the keys split
// by split (SplitKeys) in steps of kStepKeys: a step's scores are computed for all rows, and each
// row scales, caps, masks and reduces its own while they are in the cache. A tile is a run of
// splits of a block; the last tile of a block merges what the splits found, in order, and writes
// the results. Blocks that are less than a tile share one.
//
// Why the bits are the same in every pass: a score depends on its query and key alone (see
// packed_kernel.h), what follows is done row by row, splits and steps are cut by the set alone and
// merged in order.
//
// Tiles may run in any threads at the same time.
class KeySetPass final : public Pass {
 public:
  // The requests must outlive the pass. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<KeySetPass>> Create(
      std::shared_ptr<const KeySet> key_set, absl::Span<const KeySetRequest* const> requests);

  int64_t tile_count() const override { return tile_count_; }
  absl::Status RunTile(int64_t tile) override;

 private:
  struct Row {
    int64_t matrix;
    const KeySetRequest* request;
    const KeyMask* mask;
    int64_t slice;
    int64_t query;       // within the slice
    int64_t query_row;   // of the queries tensor
    int64_t result_row;  // of the results
    int64_t state = 0;   // index of its first entry of top k, or first float of 16-bit weights
    int64_t sizes = 0;   // index of its first size of top k
  };

  // Rows that read one matrix.
  struct Block {
    int64_t matrix;
    int64_t first_row;
    int64_t rows;
    int64_t context_rows = 0;   // they come first
    int64_t context_state = 0;  // index of its first float64
    int64_t first_tile = 0;
    int64_t tiles = 1;
    std::atomic<int64_t> tiles_left{0};
  };

  explicit KeySetPass(std::shared_ptr<const KeySet> key_set);

  // Whether every score of a row is wanted, attended or not.
  static bool WantsAllScores(const AttentionProblem& problem) {
    return problem.output != Output::kContext && problem.output != Output::kTopK;
  }

  void AddRows(absl::Span<const KeySetRequest* const> requests);
  void AddRowsOf(const KeySetRequest& request);
  void AddBlock(int64_t matrix, int64_t first_row, int64_t rows);
  void CutTiles(Block& block);
  absl::Status AllocateState();

  // Running tiles: key_set_pass_run.cc.

  // What a tile works on.
  struct Work {
    Block& block;
    int64_t first_split;
    int64_t split_count;
    const float* queries;  // rows x d
    KeyRange attended;     // keys that any row needs
  };
  KeyRange AttendedKeys(const Block& block) const;
  absl::Status RunPart(Block& block, int64_t part);
  absl::Status RunSplit(const Work& work, int64_t split);
  void Reduce(const Work& work, const Row& row, int64_t key, int64_t count, float* scores);
  void FinishBlock(const Block& block);
  void FinishTopK(const Block& block, const Row& row);

  ContextRow ContextOf(const Block& block, int64_t split, int64_t row);
  TopK TopOf(const Row& row, int64_t first_split, int64_t split_count);
  float* WeightsOf(const Row& row, int64_t key);
  int64_t TopCapacity(const Row& row, int64_t split_count) const;

  const std::shared_ptr<const KeySet> key_set_;
  const KeySplits splits_;
  const int64_t padded_dv_;
  std::deque<KeyMask> masks_;
  std::vector<Row> rows_;
  std::deque<Block> blocks_;
  int64_t tile_count_ = 0;
  double tile_filled_ = 1.0;  // of the last tile, where further blocks may share it
  int64_t context_doubles_ = 0, weight_floats_ = 0, top_entries_ = 0, top_sizes_ = 0;
  Buffer context_, weights_, entries_, sizes_;
};

}  // namespace qkserve

#endif  // QKSERVE_CORE_KEY_SETS_KEY_SET_PASS_H_
