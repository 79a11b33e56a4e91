#include "core/scoring/score_pass.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "base/status_macros.h"
#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"
#include "core/scoring/limits.h"
#include "core/scoring/partials.h"
#include "core/scoring/row_cut.h"
#include "core/scoring/row_reducer.h"
#include "core/scoring/score_mask.h"
#include "qkserve/buffer.h"

namespace qkserve {
namespace {

// Results that depend on no key, so they are known before anything is computed. The area has the
// columns from `first` on of `rows` rows with `columns` elements each. Each element of the area is
// a place.
struct UnattendedArea {
  DataType type;
  float value;
  std::byte* results;
  int32_t* indices;  // filled with -1; null: no indices
  int64_t rows, first, columns;

  int64_t Places() const { return rows * (columns - first); }
  // Fills places [begin, end).
  void Fill(int64_t begin, int64_t end) const;
};

void UnattendedArea::Fill(int64_t begin, int64_t end) const {
  uint16_t narrow = 0;
  if (type != DataType::kFloat32) {
    ConvertFromFloat32(type, &value, 1, reinterpret_cast<std::byte*>(&narrow));
  }
  const int64_t width = columns - first;
  for (int64_t place = begin; place < end;) {
    const int64_t count = std::min(width - place % width, end - place);
    const int64_t at = place / width * columns + first + place % width;
    if (type == DataType::kFloat32) {
      std::fill_n(reinterpret_cast<float*>(results) + at, count, value);
    } else {
      std::fill_n(reinterpret_cast<uint16_t*>(results) + at, count, narrow);
    }
    if (indices != nullptr) std::fill_n(indices + at, count, -1);
    place += count;
  }
}

// Returns the results that depend on no key: all results of a request without keys, or the surplus
// columns of top k if they are more than kPaddingMax. In these places, top k has scores of -inf and
// keys of -1, context is 0, and log-sum-exp is -inf.
absl::InlinedVector<UnattendedArea, 2> UnattendedAreasOf(const ScoreRequest& request,
                                                         const KeySizes& sizes) {
  const auto& [problem, shape, results] = request;
  const RowReducer& reducer = ReducerOf(problem.output);
  if (reducer.NeedsAllScores()) return {};
  const int64_t rows = shape.Rows();
  const int64_t columns = reducer.ResultColumns(problem, sizes);
  const int64_t first = reducer.KeyColumns(problem, sizes);
  UnattendedArea area = {problem.result_type,
                         reducer.EmptyResult(),
                         results.result,
                         results.indices,
                         rows,
                         first,
                         columns};
  if (sizes.m > 0 && columns - first <= kPaddingMax) return {};
  if (sizes.m > 0) return {area};
  // The results count as one long row, and log-sum-exp as another.
  area.rows = 1;
  area.columns *= rows;
  auto* const log_sum_exp = reinterpret_cast<std::byte*>(results.log_sum_exp);
  if (log_sum_exp == nullptr) return {area};
  return {area, {DataType::kFloat32, kNotAttended, log_sum_exp, nullptr, 1, 0, rows}};
}

// Writes the queries of the rows as float32 to `queries`.
void ConvertQueries(absl::Span<const BlockRow> rows, int64_t d, float* queries) {
  if (d == 0) return;
  for (const BlockRow& row : rows) {
    const TensorView& from = row.request->problem.queries;
    ConvertToFloat32(from.data_type, from.data + row.query_row * d * ElementBytes(from.data_type),
                     d, queries);
    UnifyNan(queries, d);
    queries += d;
  }
}

// Returns the smallest range with all keys that the rows of the groups need.
KeyRange AttendedKeys(const RowGroups& groups, int64_t m) {
  KeyRange keys = {m, 0};
  for (const RowGroup& group : groups) {
    if (group.reducer.NeedsAllScores()) return {0, m};
    for (const BlockRow& row : group.rows) {
      const KeyRange range = row.mask->Range(row.slice, row.query);
      if (range.end <= range.begin) continue;
      keys.begin = std::min(keys.begin, range.begin);
      keys.end = std::max(keys.end, range.end);
    }
  }
  return keys;
}

// Returns the sum of `bytes_of` over all groups. The bytes of each group are rounded up, so that
// the state of the next group is aligned.
int64_t BytesOf(const RowGroups& groups, int64_t (RowReducer::*bytes_of)(const RowGroup&) const) {
  int64_t bytes = 0;
  for (const RowGroup& group : groups) bytes += Buffer::Aligned((group.reducer.*bytes_of)(group));
  return bytes;
}

void Begin(std::byte* block_state, std::byte* seldom_state, std::byte* part_state,
           RowGroups& groups) {
  for (RowGroup& group : groups) {
    group.block_state = block_state;
    group.seldom_state = seldom_state;
    group.part_state = part_state;
    block_state += Buffer::Aligned(group.reducer.BlockBytes(group));
    seldom_state += Buffer::Aligned(group.reducer.SeldomBytes(group));
    part_state += Buffer::Aligned(group.reducer.PartBytes(group));
    group.reducer.Begin(group);
  }
}

// If a pass has at most this many blocks, the memory of their partial results is allocated when the
// pass is made, in about 0.1 ms. With more blocks, each block allocates its memory when it begins,
// because admission makes the pass and must not take longer for more rows.
constexpr int64_t kBlocksAtOnce = 256;

class ScorePass final : public Pass {
 public:
  // Throws std::bad_alloc.
  ScorePass(std::shared_ptr<const KeySource> source,
            absl::Span<const ScoreRequest* const> requests);

  // Allocates the partial results of the blocks if keys are not shared and there are at most
  // kBlocksAtOnce blocks.
  absl::Status AllocateBlocks();

  int64_t tile_count() const override { return tile_count_; }
  absl::Status RunTile(int64_t tile) override;

 private:
  absl::StatusOr<std::shared_ptr<Partials::Shared>> Share(const Block& block,
                                                          const RowGroups& groups);
  void RunFill(int64_t tile) const;
  absl::Status RunPart(const Block& block, int64_t part);
  absl::Status RunKeys(int64_t matrix, KeyRange keys, absl::Span<const BlockRow> rows,
                       const RowGroups& groups) const;

  const std::shared_ptr<const KeySource> source_;
  const RowCut cut_;
  std::vector<UnattendedArea> unattended_;  // the last tiles fill them
  int64_t tile_count_;
  Partials partials_;
};

ScorePass::ScorePass(std::shared_ptr<const KeySource> source,
                     absl::Span<const ScoreRequest* const> requests)
    : source_(std::move(source)), cut_(source_->Cut(requests)) {
  int64_t places = 0;
  for (const ScoreRequest* request : requests) {
    for (const UnattendedArea& area : UnattendedAreasOf(*request, source_->sizes())) {
      unattended_.push_back(area);
      places += area.Places();
    }
  }
  // An empty pass still has one tile, which does nothing.
  tile_count_ = std::max<int64_t>(cut_.tile_count() + CeilDivide(places, kFillPlaces), 1);
}

absl::Status ScorePass::AllocateBlocks() {
  absl::Status status;
  if (source_->IsShared() || source_->key_cut().parts == 1) return status;
  if (cut_.block_count() > kBlocksAtOnce) return status;
  std::array<BlockRow, kBlockRows> rows;
  for (int64_t i = 0; i < cut_.block_count() && status.ok(); ++i) {
    const Block block = cut_.GetBlock(i);
    status = Share(block, cut_.MakeRows(block, rows.data())).status();
  }
  return status;
}

absl::StatusOr<std::shared_ptr<Partials::Shared>> ScorePass::Share(const Block& block,
                                                                   const RowGroups& groups) {
  return partials_.Share(block.index, block.parts, BytesOf(groups, &RowReducer::BlockBytes),
                         BytesOf(groups, &RowReducer::SeldomBytes));
}

absl::Status ScorePass::RunTile(int64_t tile) {
  absl::Status status;
  if (tile >= cut_.tile_count()) {
    RunFill(tile - cut_.tile_count());
    return status;
  }
  const TileScratch scope;
  const TileBlocks blocks = cut_.BlocksOf(tile);
  for (int64_t block = blocks.first; block < blocks.end && status.ok(); ++block) {
    status = RunPart(cut_.GetBlock(block), blocks.part);
  }
  return status;
}

void ScorePass::RunFill(int64_t tile) const {
  int64_t begin = tile * kFillPlaces;
  for (const UnattendedArea& area : unattended_) {
    area.Fill(std::max<int64_t>(begin, 0), std::min(begin + kFillPlaces, area.Places()));
    begin -= area.Places();
  }
}

absl::Status ScorePass::RunPart(const Block& block, int64_t part) {
  std::array<BlockRow, kBlockRows> rows;
  RowGroups groups = cut_.MakeRows(block, rows.data());
  const int64_t part_bytes = BytesOf(groups, &RowReducer::PartBytes);
  // If a block has one part, its state is in scratch memory.
  TileScratch scratch;
  std::shared_ptr<Partials::Shared> shared;
  Buffer own;
  if (block.parts == 1) {
    const int64_t block_bytes = BytesOf(groups, &RowReducer::BlockBytes);
    const int64_t seldom_bytes = BytesOf(groups, &RowReducer::SeldomBytes);
    ASSIGN_OR_RETURN(float* const memory, scratch.Get((block_bytes + part_bytes + seldom_bytes) /
                                                      static_cast<int64_t>(sizeof(float))));
    auto* const state = reinterpret_cast<std::byte*>(memory);
    Begin(state, state + block_bytes + part_bytes, state + block_bytes, groups);
  } else {
    ASSIGN_OR_RETURN(shared, Share(block, groups));
    ASSIGN_OR_RETURN(own, Buffer::Allocate(static_cast<size_t>(part_bytes)));
    Begin(shared->state.data(), shared->seldom.data(), own.data(), groups);
  }
  const absl::Span<const BlockRow> block_rows(rows.data(), static_cast<size_t>(block.rows));
  RETURN_IF_ERROR(RunKeys(block.matrix, cut_.KeysOf(block, part), block_rows, groups));
  if (block.parts > 1) {
    std::byte* const own_state = own.data();
    const bool is_last = partials_.HandOver(block.index, own, [&](std::byte* other) {
      for (const RowGroup& group : groups) {
        group.reducer.Merge(group, other + (group.part_state - own_state));
      }
    });
    if (!is_last) return absl::OkStatus();
  }
  for (const RowGroup& group : groups) group.reducer.Finish(group);
  return absl::OkStatus();
}

absl::Status ScorePass::RunKeys(int64_t matrix, KeyRange keys, absl::Span<const BlockRow> rows,
                                const RowGroups& groups) const {
  const int64_t m = source_->sizes().m;
  const int64_t d = source_->IsShared() ? source_->sizes().d : 0;
  const int64_t split_keys = source_->key_cut().split_keys;
  const int64_t row_count = rows.size();
  TileScratch scratch;
  ASSIGN_OR_RETURN(float* const products, scratch.Get(row_count * (kStepKeys + d)));
  float* const queries = products + row_count * kStepKeys;
  ConvertQueries(rows, d, queries);
  const KeyRange attended = AttendedKeys(groups, m);
  for (int64_t key = keys.begin, end = 0; key < keys.end; key = end) {
    end = std::min(key + kStepKeys, keys.end);
    const int64_t split = key / split_keys;
    // This step reads only the keys before read_end.
    int64_t read_end = source_->IsShared() ? end : std::min(end, attended.end);
    if (key >= attended.end || end <= attended.begin) read_end = key;
    for (const RowGroup& group : groups) {
      if (key == keys.begin || key % split_keys == 0) group.reducer.BeginSplit(group, split);
      if (read_end < end) group.reducer.Skip(group, {read_end, end});
    }
    if (read_end == key) continue;
    Step step = {.keys = {key, read_end}, .products = products, .stride = kStepKeys};
    const RowGroup& front = groups.front();
    float* const place = source_->IsShared() ? nullptr : front.reducer.PlaceOf(front, key);
    if (place != nullptr) {
      step.products = place;
      step.stride = m;
    }
    RETURN_IF_ERROR(
        source_->Multiply({rows, queries}, matrix, step.keys, step.products, step.stride));
    for (const RowGroup& group : groups) {
      group.reducer.Take(group, split,
                         {step.keys, step.products + group.first * step.stride, step.stride});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pass>> MakeScorePass(
    std::shared_ptr<const KeySource> source, absl::Span<const ScoreRequest* const> requests) {
  if (requests.size() == 1) {
    std::unique_ptr<Pass> direct = source->MakeDirectPass(*requests.front());
    if (direct != nullptr) return direct;
  }
  try {
    auto pass = std::make_unique<ScorePass>(std::move(source), requests);
    RETURN_IF_ERROR(pass->AllocateBlocks());
    return pass;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory for a pass");
  }
}

}  // namespace qkserve
